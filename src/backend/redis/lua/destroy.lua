-- Ends a room: everybody is out, and its stream says so last.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the destruction), 3 keep, 4 run of the server, 5 account or '', 6 retention in ms.
-- Returns 'done', 'unknown', or 'forbidden' when it has another owner.
local room = redis.call('HMGET', KEYS[1], 'kept', 'owner')
if not room[1] and redis.call('EXISTS', KEYS[3]) == 0 then
  return 'unknown'
end
if room[2] and room[2] ~= ARGV[5] then
  return 'forbidden'
end
demolish(KEYS, ARGV, ARGV[2], ARGV[6], epoch_of(KEYS[1], ARGV[4]))
return 'done'

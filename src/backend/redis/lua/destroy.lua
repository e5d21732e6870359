-- Ends a room: everybody is out, and its stream says so last.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants.
-- ARGV: 1 channel, 2 payload (the destruction), 3 keep, 4 fresh epoch, 5 account or '', 6 retention in ms.
-- Returns 'done', 'unknown', or 'forbidden' when it has another owner.
local room = redis.call('HMGET', KEYS[1], 'kept', 'owner')
if not room[1] and redis.call('EXISTS', KEYS[3]) == 0 then
  return 'unknown'
end
if room[2] and room[2] ~= ARGV[5] then
  return 'forbidden'
end
append(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
redis.call('HDEL', KEYS[1], 'kept', 'owner', 'access', 'password', 'nickname', 'description')
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return 'done'

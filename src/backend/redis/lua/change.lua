-- Changes fields of a kept room's record, and tells the room.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the change), 3 keep, 4 run of the server, 5 account, then fields and values; an empty value removes its
--       field.
-- Returns 'done', 'unknown' or 'forbidden'.
local refused = runs(KEYS[1], KEYS[5], ARGV[5], false)
if refused then
  return refused
end
local epoch = epoch_of(KEYS[1], ARGV[4])
for field = 6, #ARGV, 2 do
  if ARGV[field + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[field])
  else
    redis.call('HSET', KEYS[1], ARGV[field], ARGV[field + 1])
  end
end
if #ARGV > 5 then
  append(KEYS, ARGV, ARGV[2], epoch)
end
return 'done'

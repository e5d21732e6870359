-- Makes another member the owner of a kept room and announces it; the former owner stays as an admin.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the handing over), 3 keep, 4 run of the server, 5 owner, 6 account that is to be it, 7 the most admins.
-- Returns 'done', 'unknown', 'outside', 'forbidden' or 'full'.
local room = redis.call('HMGET', KEYS[1], 'kept', 'owner')
if not room[1] then
  return 'unknown'
end
if redis.call('SISMEMBER', KEYS[3], 'u:' .. ARGV[6]) == 0 then
  return 'outside'
end
if room[2] ~= ARGV[5] then
  return 'forbidden'
end
if ARGV[5] == ARGV[6] then
  return 'done'
end
if redis.call('SISMEMBER', KEYS[5], ARGV[6]) == 0 and redis.call('SCARD', KEYS[5]) >= tonumber(ARGV[7]) then
  return 'full'
end
local epoch = epoch_of(KEYS[1], ARGV[4])
redis.call('SREM', KEYS[5], ARGV[6])
redis.call('SADD', KEYS[5], ARGV[5])
redis.call('HSET', KEYS[1], 'owner', ARGV[6])
append(KEYS, ARGV, ARGV[2], epoch)
return 'done'

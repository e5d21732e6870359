-- The first half of a friendship: puts the account that approves into the list of the one that asked, and ends a request the other
-- way round.
-- KEYS: 1 user hash, 2 friends, 3 requests, all of the one that asked. ARGV: 1 account that approves, 2 the most friends.
-- Returns 'done', 'unknown' or 'full'.
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  return 'unknown'
end
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 and redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[2]) then
  return 'full'
end
redis.call('SADD', KEYS[2], ARGV[1])
local approver = ARGV[1] .. '\31'
local waiting = redis.call('HGETALL', KEYS[3])
for at = 1, #waiting, 2 do
  if string.sub(waiting[at + 1], 1, #approver) == approver then
    redis.call('HDEL', KEYS[3], waiting[at])
  end
end
return 'done'

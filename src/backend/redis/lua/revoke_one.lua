-- Ends one login of an account.
-- KEYS: 1 revoked logins. ARGV: 1 login, 2 when it ends by itself, 3 now, both in seconds since the Unix epoch, 4 most to keep.
-- Returns 1, or 0 when there are too many to remember one more.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
  return 0
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
-- The set goes with its longest-lived login.
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('EXPIRE', KEYS[1], math.max(1, tonumber(last[2]) - tonumber(ARGV[3]) + 1))
return 1

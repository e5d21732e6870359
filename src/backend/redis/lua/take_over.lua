-- Uses a resume token up: one heir goes on in the session's place. The same heir may ask again, since it may not have been
-- answered. What is left says for a while that there is an heir, to a node that was cut off and still has the session.
-- KEYS: 1 session hash. ARGV: 1 hash of the token's secret, 2 heir, 3 ms for which it is remembered that there is one.
-- Returns {nickname or '', login or '', first session of the line}, or an empty list when there is no such token or it was used.
local memo = redis.call('HMGET', KEYS[1], 'secret', 'nickname', 'login', 'heir', 'first')
if memo[1] ~= ARGV[1] or (memo[4] and memo[4] ~= ARGV[2]) then
  return {}
end
redis.call('HSET', KEYS[1], 'heir', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {memo[2], memo[3], memo[5]}

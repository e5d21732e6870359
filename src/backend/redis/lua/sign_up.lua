-- Makes an account with a password of its own.
-- KEYS: 1 user hash, 2 nickname hash. ARGV: 1 identity, 2 password hash, 3 display nickname.
-- Returns 1, or 0 when the name is another account's or a guest bears it.
if redis.call('HEXISTS', KEYS[1], 'identity') == 1 or redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'identity', ARGV[1], 'password', ARGV[2], 'nickname', ARGV[3],
  'created_us', now[1] .. string.format('%06d', now[2]), 'active_s', now[1])
return 1

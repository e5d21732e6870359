-- Reserves a name for an identity.
-- KEYS: 1 user hash, 2 nickname hash. ARGV: 1 identity.
-- Returns 1 when the name is the identity's, now or before; 0 when another identity has it or a guest bears it.
local owner = redis.call('HGET', KEYS[1], 'identity')
if owner then
  return owner == ARGV[1] and 1 or 0
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'identity', ARGV[1], 'created_us', now[1] .. string.format('%06d', now[2]))
return 1

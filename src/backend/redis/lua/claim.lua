-- Claims a nickname for a session.
-- KEYS: 1 nickname hash. ARGV: 1 session, 2 lease.
-- Returns 1, or 0 when another session holds it.
local holder = redis.call('HGET', KEYS[1], 'session')
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'session', ARGV[1], 'lease', ARGV[2])
return 1

-- Keeps a lease alive.
-- KEYS: 1 lease. ARGV: 1 value, 2 time to live in ms.
-- Returns 1, or 0 when the lease is gone: others may have released what it held, so it never comes back to life.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

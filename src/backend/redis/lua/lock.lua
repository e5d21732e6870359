-- Has one survivor sweep a lease, and the others pass over it for a time.
-- KEYS: 1 lock. ARGV: 1 who sweeps, 2 for how long, in ms.
-- Returns 1, or 0 when another one does.
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0

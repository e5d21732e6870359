-- Keeps a lease alive, or takes it.
-- KEYS: 1 lease. ARGV: 1 value, 2 time to live in ms, 3 'keep' | 'take'.
-- Returns when it ends, in ms of the clock of Redis, or 0 when there is none to keep: others may have released what it held, so
-- it never comes back to life.
if ARGV[3] == 'keep' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('PEXPIRETIME', KEYS[1])

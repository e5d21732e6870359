-- The node of a session is gone: what is kept of it is kept for the resume window.
-- KEYS: 1 session hash. ARGV: 1 lease under which it was kept, 2 resume window in ms.
local memo = redis.call('HMGET', KEYS[1], 'lease', 'heir')
if memo[1] == ARGV[1] and not memo[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end

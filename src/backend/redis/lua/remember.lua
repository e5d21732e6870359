-- Keeps what a session with a resume token is.
-- KEYS: 1 session hash. ARGV: 1 lease, 2 hash of the token's secret, 3 nickname or '', 4 login of its account or '',
--       5 when the lease ends, in ms, 6 first of the sessions in whose place it goes on. And what
--       noted takes.
-- Returns 1, or 0 when an heir has gone on in its place: then it is not to come back to life; -1 when the lease has
-- ended.
if fenced(ARGV[5]) or not noted() then
  return -1
end
if redis.call('HEXISTS', KEYS[1], 'heir') == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'lease', ARGV[1], 'secret', ARGV[2], 'nickname', ARGV[3], 'login', ARGV[4], 'first', ARGV[6])
redis.call('PERSIST', KEYS[1])
return 1

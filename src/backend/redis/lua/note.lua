-- Notes a claim under a lease, before it is made.
-- KEYS: 1 lease, 2 its claims. ARGV: 1 the claim.
-- Returns 1, or 0 when the lease is gone: then it is swept, and nobody would look at the note again.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SADD', KEYS[2], ARGV[1])
return 1

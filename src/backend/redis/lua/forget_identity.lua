-- Forgets the name that an identity chose, if it is still this one.
-- KEYS: 1 identity. ARGV: 1 name.
-- Returns 1 if it was forgotten, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])

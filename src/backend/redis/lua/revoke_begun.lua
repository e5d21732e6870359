-- Ends all logins of an account that began at or before a time.
-- KEYS: 1 user hash. ARGV: 1 seconds since the Unix epoch.
-- Never goes back: of two calls the later time counts.
local known = redis.call('HGET', KEYS[1], 'valid_after_s')
if not known or tonumber(known) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'valid_after_s', ARGV[1])
end

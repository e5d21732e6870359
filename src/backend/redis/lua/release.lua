-- Frees a nickname if this session still holds it under this lease. An account was active last at this time.
-- KEYS: 1 nickname hash, 2 user hash. ARGV: 1 session, 2 lease, or '' for any.
-- Returns 2 if it was freed and is an account's, 1 if it was freed, 0 if somebody else holds it, -1 if nobody does.
local holder = redis.call('HMGET', KEYS[1], 'session', 'lease')
if not holder[1] then
  return -1
end
if holder[1] ~= ARGV[1] or (ARGV[2] ~= '' and holder[2] ~= ARGV[2]) then
  return 0
end
redis.call('DEL', KEYS[1])
if redis.call('HEXISTS', KEYS[2], 'identity') == 0 then
  return 1
end
redis.call('HSET', KEYS[2], 'active_s', redis.call('TIME')[1])
return 2

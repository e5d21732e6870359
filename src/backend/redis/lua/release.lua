-- Frees a nickname if this session still holds it under this lease.
-- KEYS: 1 nickname hash. ARGV: 1 session, 2 lease, or '' for any.
-- Returns 1 if it was freed, 0 if somebody else holds it, -1 if nobody does.
local holder = redis.call('HMGET', KEYS[1], 'session', 'lease')
if not holder[1] then
  return -1
end
if holder[1] ~= ARGV[1] or (ARGV[2] ~= '' and holder[2] ~= ARGV[2]) then
  return 0
end
redis.call('DEL', KEYS[1])
return 1

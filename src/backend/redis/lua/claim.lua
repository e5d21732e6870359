-- Claims a nickname for a session.
-- KEYS: 1 nickname hash, 2 user hash, and on one server: 3 set of nicknames. ARGV: 1 session, 2 lease, 3 'guest' | 'account' | 'again',
--       4 identity under which an account is made that is not known yet, 5 '1' if the session reads its account's inbox,
--       6 when the lease ends, in ms, 7 session whose heir it is, from which it may take the name, or '', 8 nickname.
-- And what noted takes.
-- Returns {1, session it was taken over from, or ''}, {0, ''} when another session holds it, {-1, ''} when it is an account's,
-- {-2, ''} when the lease has ended.
if fenced(ARGV[6]) or not noted() then
  return {-2, ''}
end
local account = redis.call('HEXISTS', KEYS[2], 'identity') == 1
if ARGV[3] == 'guest' and account then
  return refused({-1, ''})
end
local holder = redis.call('HGET', KEYS[1], 'session') or ''
if holder == ARGV[1] then
  holder = ''
end
if holder ~= '' and holder ~= ARGV[7] and ARGV[3] ~= 'account' then
  return refused({0, ''})
end
if ARGV[3] == 'account' and not account then
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'identity', ARGV[4], 'created_us', now[1] .. string.format('%06d', now[2]))
end
redis.call('HSET', KEYS[1], 'session', ARGV[1], 'lease', ARGV[2], 'inbox', ARGV[5])
if KEYS[3] then
  redis.call('SADD', KEYS[3], ARGV[8])
end
return {1, holder}

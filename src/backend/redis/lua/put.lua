-- Puts a push into an account's inbox. Its number is the time in microseconds, made to grow.
-- KEYS: 1 user hash, 2 nickname hash, 3 friends, 4 inbox. ARGV: 1 push, 2 account that must be a friend, or '', 3 the most that may wait.
-- Returns {'kept', session that bears the account's name, or '', '1' if it reads the inbox}, {'unknown'}, {'strangers'} or {'full'}.
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  return {'unknown'}
end
if ARGV[2] ~= '' and redis.call('SISMEMBER', KEYS[3], ARGV[2]) == 0 then
  return {'strangers'}
end
if redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[3]) then
  return {'full'}
end
local now = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[1], 'mail_us') or '0')
local number = string.format('%.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call('HSET', KEYS[1], 'mail_us', number)
redis.call('XADD', KEYS[4], number .. '-0', 'p', ARGV[1])
local holder = redis.call('HMGET', KEYS[2], 'session', 'inbox')
return {'kept', holder[1] or '', holder[2] or ''}

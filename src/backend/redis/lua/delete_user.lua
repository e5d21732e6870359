-- Forgets an account, last of all that is kept of it. When that was is remembered.
-- KEYS: 1 user hash, 2 friends, 3 requests, 4 inbox, 5 rooms, 6 ended logins, 7 when it was deleted.
-- ARGV: 1 for how long that is remembered, in ms.
-- Returns 1; or 0, and nothing was done, when it has friends, whose lists must be rid of it first.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
if redis.call('HEXISTS', KEYS[1], 'identity') == 1 then
  local now = redis.call('TIME')
  redis.call('SET', KEYS[7], now[1] .. string.format('%06d', now[2]), 'PX', ARGV[1])
end
redis.call('DEL', KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
return 1

-- Has a friend request wait for an account.
-- KEYS: 1 user hash, 2 friends, 3 requests. ARGV: 1 number of the request, 2 account that asks, 3 the request, which begins with that
--       and a unit separator, 4 the most requests.
-- Returns 'done', 'before', 'friends', 'unknown' or 'full'.
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  return 'unknown'
end
if redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 1 then
  return 'friends'
end
local asker = ARGV[2] .. '\31'
for _, request in ipairs(redis.call('HVALS', KEYS[3])) do
  if string.sub(request, 1, #asker) == asker then
    return 'before'
  end
end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[4]) then
  return 'full'
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return 'done'

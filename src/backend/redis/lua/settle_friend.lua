-- Ends a request that waits for an account; approved, it is the second half of a friendship.
-- KEYS: 1 user hash, 2 friends, 3 requests. ARGV: 1 number of the request, 2 account that asked, to be a friend, or '', 3 the most
--       friends.
-- Returns {'done', request}; {'nothing', is a friend (1 or 0)} when no such request waits, or there is no such account; {'full', 0}.
local request = redis.call('HGET', KEYS[3], ARGV[1])
local is_friend = redis.call('SISMEMBER', KEYS[2], ARGV[2])
if not request or redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  return {'nothing', is_friend}
end
if ARGV[2] ~= '' then
  if is_friend == 0 and redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[3]) then
    return {'full', 0}
  end
  redis.call('SADD', KEYS[2], ARGV[2])
end
redis.call('HDEL', KEYS[3], ARGV[1])
return {'done', request}

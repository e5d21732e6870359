-- Reads a room's stream after a position, and finds out whether the stream was rolled back.
-- KEYS: 1 room hash, 2 room stream. ARGV: 1 epoch the node knows, 2 offset it delivered last, 3 fresh epoch.
-- Returns {epoch, top, entries}, epoch '' when the room has no stream. A stream whose top lies below what was delivered
-- lost its end (a failover, an older dataset): it goes on under a new epoch, so that a new event is never taken for an old
-- one.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  return {'', 0, {}}
end
local top = tonumber(redis.call('HGET', KEYS[1], 'top') or '0')
if epoch == ARGV[1] and top < tonumber(ARGV[2]) then
  epoch = ARGV[3]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'before', ARGV[1], 'floor', top)
  return {epoch, top, {}}
end
local after = 0
if epoch == ARGV[1] then
  after = tonumber(ARGV[2])
else
  -- Up to where the stream was rolled back to, the events are those of the epoch before.
  local rolled = redis.call('HMGET', KEYS[1], 'before', 'floor')
  if rolled[1] == ARGV[1] then
    after = math.min(tonumber(ARGV[2]), tonumber(rolled[2]))
  end
end
return {epoch, top, redis.call('XRANGE', KEYS[2], (after + 1) .. '-0', '+')}

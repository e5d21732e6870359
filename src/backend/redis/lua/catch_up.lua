-- Reads a room's stream after a position, and finds out whether its end was lost.
-- KEYS: 1 room hash, 2 room stream. ARGV: 1 epoch the node knows, 2 offset it delivered last, 3 run of the server.
-- Returns {epoch, top, known (1 or 0), entries}, epoch '' when the room has no stream. `known`: the events up to the asked position are
-- those of this stream, whatever its epoch is by now. A stream whose top lies below what was delivered lost its end, on whatever
-- server: it goes on under a new epoch, so that a new event is never taken for an old one.
local epoch = epoch_of(KEYS[1], ARGV[3])
if not epoch then
  return {'', 0, 0, {}}
end
local asked = tonumber(ARGV[2])
local top = tonumber(redis.call('HGET', KEYS[1], 'top') or '0')
if epoch == ARGV[1] and top < asked then
  return {begin(KEYS[1], ARGV[3], epoch), top, 0, {}}
end
local after, known = asked, 1
if epoch ~= ARGV[1] then
  local floor = same_up_to(KEYS[1], ARGV[1])
  after = floor and math.min(asked, floor) or 0
  known = floor and after == asked and 1 or 0
end
return {epoch, top, known, redis.call('XRANGE', KEYS[2], (after + 1) .. '-0', '+')}

-- Publishes an event into a room.
-- KEYS: 1 room hash, 2 room stream, 3 members.
-- ARGV: 1 channel, 2 payload, 3 keep, 4 fresh epoch, 5 member that must be in the room, or '' for anyone.
-- Returns {epoch, offset, time_us}, or an empty list when the member is not in.
if ARGV[5] ~= '' and redis.call('SISMEMBER', KEYS[3], ARGV[5]) == 0 then
  return {}
end
return append(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])

-- Publishes an event into a room.
-- KEYS: 1 room hash, 2 room stream. ARGV: 1 channel, 2 payload, 3 keep, 4 fresh epoch.
-- Returns {epoch, offset, time_us}.
return append(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])

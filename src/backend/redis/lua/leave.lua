-- Ends a session's membership of a room and announces it, once however often it is called. What the session was permitted
-- there, or asked for, ends too.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants.
-- ARGV: 1 channel, 2 payload (the leave), 3 keep, 4 fresh epoch, 5 member, 6 retention in ms,
--       7 lease that must own the membership, or '' for any (a sweep names the dead lease, so that it never ends a membership
--         that was claimed again meanwhile).
-- Returns {epoch, offset, time_us}, or an empty list when there was nothing to end.
if ARGV[7] ~= '' then
  local who = redis.call('HGET', KEYS[4], ARGV[5])
  if who and string.sub(who, 1, #ARGV[7] + 1) ~= ARGV[7] .. ' ' then
    return {}
  end
end
redis.call('HDEL', KEYS[7], ARGV[5])
redis.call('SREM', KEYS[6], ARGV[5])
redis.call('HDEL', KEYS[4], ARGV[5])
if redis.call('SREM', KEYS[3], ARGV[5]) == 0 then
  return {}
end
local position = append(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if redis.call('EXISTS', KEYS[3]) == 0 and redis.call('HEXISTS', KEYS[1], 'kept') == 0 then
  -- The room goes with its last member; its history outlives it for the retention time.
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
return position

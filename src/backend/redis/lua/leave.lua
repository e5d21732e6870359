-- Ends a session's membership of a room and announces it, once however often it is called. What the session was permitted
-- there, or asked for, ends too.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the leave), 3 keep, 4 run of the server, 5 member, 6 retention in ms,
--       7 lease that must own the membership, or '' for any (a sweep names the dead lease, so that it never ends a membership
--         that was claimed again meanwhile), 8 the member's nickname, or '', 9 payload for where the account of that name is a member for good.
-- Returns {epoch, offset, time_us}, or an empty list when there was nothing to end.
if ARGV[7] ~= '' then
  local who = redis.call('HGET', KEYS[4], ARGV[5])
  if who and string.sub(who, 1, #ARGV[7] + 1) ~= ARGV[7] .. ' ' then
    return {}
  end
end
local epoch = epoch_of(KEYS[1], ARGV[4])
redis.call('HDEL', KEYS[7], ARGV[5])
redis.call('SREM', KEYS[6], ARGV[5])
local noted = redis.call('HDEL', KEYS[4], ARGV[5]) == 1
local was_member = redis.call('SREM', KEYS[3], ARGV[5]) == 1
local is_enrolled = ARGV[8] ~= '' and redis.call('SISMEMBER', KEYS[3], 'u:' .. ARGV[8]) == 1
if not was_member and not (noted and is_enrolled) then
  return {}
end
local position = append(KEYS, ARGV, is_enrolled and ARGV[9] or ARGV[2], epoch)
emptied(KEYS[1], KEYS[2], KEYS[3], ARGV[6])
return position

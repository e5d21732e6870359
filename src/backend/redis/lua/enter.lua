-- Makes a session a member of a room and announces it, if the room lets it in. The session of an account that is a member for
-- good is only noted as being there, and its coming announced.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the join), 3 keep, 4 run of the server, 5 member, 6 who value,
--       7 'join' | 'restore' | 'heir', 8 epoch the node knows, or '' (restore only), 9 account or '', 10 payload (the coming
--       of an account's session), 11 when the lease ends, in ms; and to join or inherit: 12 '1' if the room must exist, 13 password hash
--       that was proven, or '', 14 key and 15 name under which it may be permitted to enter, 16 the most that may wait for that,
--       17 number of its request, 18 member in whose place it goes on and 19 payload for the
--       outbox that says so (heir only). And what noted takes.
-- Returns {'in', epoch, offset, time_us, members, announced (1 or 0)}; without an announcement the position is the room's
-- present one. {'fenced'} when the lease has ended. Or what door returns. A restored member is announced only if it was missing
-- from a stream the node knows: then the others saw it leave. In a new stream nobody saw anything. An heir is in silently where the other is still in, with what
-- that one was permitted; elsewhere it joins.
if fenced(ARGV[11]) or not noted() then
  return {'fenced'}
end
local epoch = epoch_of(KEYS[1], ARGV[4])
local how, inherits = ARGV[7], false
if how == 'heir' then
  local was_noted = redis.call('HDEL', KEYS[4], ARGV[18]) == 1
  local was_member = redis.call('SREM', KEYS[3], ARGV[18]) == 1
  if was_member and redis.call('SREM', KEYS[6], ARGV[18]) == 1 then
    redis.call('SADD', KEYS[6], ARGV[5])
  end
  inherits = was_noted or was_member
  how = inherits and 'restore' or 'join'
end
local is_enrolled = ARGV[9] ~= '' and redis.call('SISMEMBER', KEYS[3], 'u:' .. ARGV[9]) == 1
if how == 'join' and not is_enrolled and redis.call('SISMEMBER', KEYS[3], ARGV[5]) == 0 then
  local denied = door(KEYS, {
    must_exist = ARGV[12], account = ARGV[9], proof = ARGV[13], key = ARGV[14], name = ARGV[15], most = ARGV[16],
    request = ARGV[17], flag = '-',
  })
  if denied then
    -- Who waits for permission does so until it leaves, or is swept; so that stays noted.
    return denied[1] == 'permission' and denied or refused(denied)
  end
end
local noted = redis.call('HSET', KEYS[4], ARGV[5], ARGV[6])
local added = is_enrolled and noted or redis.call('SADD', KEYS[3], ARGV[5])
local members = redis.call('SCARD', KEYS[3])
local is_known = epoch and (epoch == ARGV[8] or same_up_to(KEYS[1], ARGV[8]))
local announce = (added == 1 and (how == 'join' or is_known)) or (not epoch and how == 'join')
local position
if announce then
  position = append(KEYS, ARGV, is_enrolled and ARGV[10] or ARGV[2], epoch)
else
  epoch = epoch or begun(KEYS[1], KEYS[2], ARGV[4])
  position = {epoch, tonumber(redis.call('HGET', KEYS[1], 'top') or '0'), '0'}
  if inherits and KEYS[9] then
    local now = redis.call('TIME')
    follow_up(KEYS[9], ARGV[3], {position[1], position[2], now[1] .. string.format('%06d', now[2])}, ARGV[19])
  end
end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
return {'in', position[1], position[2], position[3], members, announce and 1 or 0}

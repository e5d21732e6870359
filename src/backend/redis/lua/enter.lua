-- Makes a session a member of a room and announces it, if the room lets it in.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants.
-- ARGV: 1 channel, 2 payload (the join), 3 keep, 4 fresh epoch, 5 member, 6 who value,
--       7 'join' | 'restore', 8 epoch the node knows, or '' (restore only),
--       9 '1' if the room must exist, 10 account or '', 11 password hash that was proven, or '', 12 key and 13 name under
--       which it may be permitted to enter, 14 the most that may wait for that.
-- Returns {'in', epoch, offset, time_us, members, announced (1 or 0)}; without an announcement the position is the room's
-- present one. Or {'unknown'}, {'password', hash}, {'permission', owner, admins...} (without names when it waits already),
-- {'full'}. A restored member is announced only if it was missing from a stream the node knows: then the others saw it
-- leave. In a new stream nobody saw anything.
local function denial()
  local room = redis.call('HMGET', KEYS[1], 'kept', 'owner', 'access', 'password')
  if ARGV[9] == '1' and not room[1] and redis.call('EXISTS', KEYS[3]) == 0 then
    return {'unknown'}
  end
  if not room[3] or (ARGV[10] ~= '' and (room[2] == ARGV[10] or redis.call('SISMEMBER', KEYS[5], ARGV[10]) == 1)) then
    return nil
  end
  if room[3] == 'password' and room[4] and room[4] ~= ARGV[11] then
    return {'password', room[4]}
  end
  if room[3] == 'permission' and redis.call('SISMEMBER', KEYS[6], ARGV[12]) == 0 then
    if redis.call('HEXISTS', KEYS[7], ARGV[12]) == 0 then
      if redis.call('HLEN', KEYS[7]) >= tonumber(ARGV[14]) then
        return {'full'}
      end
      -- A name has one holder: whoever asked under it before has another by now, and must not be approved in its place.
      local waiting = redis.call('HGETALL', KEYS[7])
      for at = 1, #waiting, 2 do
        if waiting[at + 1] == ARGV[13] then
          redis.call('HSET', KEYS[7], waiting[at], string.sub(waiting[at], 3))
        end
      end
      redis.call('HSET', KEYS[7], ARGV[12], ARGV[13])
      local answer = redis.call('SMEMBERS', KEYS[5])
      table.insert(answer, 1, room[2] or '')
      table.insert(answer, 1, 'permission')
      return answer
    end
    return {'permission'}
  end
  return nil
end

if ARGV[7] == 'join' and redis.call('SISMEMBER', KEYS[3], ARGV[5]) == 0 then
  local denied = denial()
  if denied then
    return denied
  end
end
local added = redis.call('SADD', KEYS[3], ARGV[5])
redis.call('HSET', KEYS[4], ARGV[5], ARGV[6])
local members = redis.call('SCARD', KEYS[3])
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local announce = added == 1 and (ARGV[7] == 'join' or (epoch and epoch == ARGV[8]))
local position
if announce or (not epoch and ARGV[7] == 'join') then
  position = append(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
  announce = true
else
  if not epoch then
    epoch = ARGV[4]
    redis.call('HSET', KEYS[1], 'epoch', epoch)
    redis.call('DEL', KEYS[2])
  end
  position = {epoch, tonumber(redis.call('HGET', KEYS[1], 'top') or '0'), '0'}
end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
return {'in', position[1], position[2], position[3], members, announce and 1 or 0}

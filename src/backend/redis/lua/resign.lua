-- Ends an account's membership of a room and announces it. Of an account that is being deleted, all that the room knows of it
-- ends, and a room that it owns goes to who has been in it for longest: an admin, else another account; else it is destroyed.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the leave), 3 keep, 4 run of the server, 5 account, 6 retention in ms, 7 '1' when it is being deleted,
--       8 payload of a destruction, 9 the account to hand over to and 10 the payload of that, both '' the first time.
-- Returns {'left'}, {'handed', account}, {'destroyed'}, {'unknown'}, {'outside'}, {'forbidden'}; or {'successor', account} when
-- nothing was done yet, because it is that one whom ARGV 9 and 10 must name.
local account = ARGV[5]
local deleted = ARGV[7] == '1'
local room = redis.call('HMGET', KEYS[1], 'kept', 'owner')
if not room[1] and redis.call('EXISTS', KEYS[3]) == 0 then
  return {'unknown'}
end
local epoch = epoch_of(KEYS[1], ARGV[4])
if deleted then
  redis.call('SREM', KEYS[6], 'u:' .. account)
  redis.call('HDEL', KEYS[7], 'u:' .. account)
end
if redis.call('SISMEMBER', KEYS[3], 'u:' .. account) == 0 then
  if deleted then
    redis.call('SREM', KEYS[5], account)
  end
  return {'outside'}
end

local function successor()
  local first, since
  for _, admin in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    local enrolled_us = tonumber(redis.call('ZSCORE', KEYS[8], admin) or '')
    if admin ~= account and enrolled_us and (not since or enrolled_us < since) then
      first, since = admin, enrolled_us
    end
  end
  if first then
    return first
  end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[8], 0, 1)) do
    if member ~= account then
      return member
    end
  end
end

local handed = false
if room[2] == account then
  if not deleted then
    return {'forbidden'}
  end
  handed = successor()
  if not handed then
    demolish(KEYS, ARGV, ARGV[8], ARGV[6], epoch)
    return {'destroyed'}
  end
  if handed ~= ARGV[9] then
    return {'successor', handed}
  end
  redis.call('HSET', KEYS[1], 'owner', handed)
  redis.call('SREM', KEYS[5], handed)
  epoch = append(KEYS, ARGV, ARGV[10], epoch)[1]
end
struck(KEYS[3], KEYS[8], KEYS[5], account)
append(KEYS, ARGV, ARGV[2], epoch)
emptied(KEYS[1], KEYS[2], KEYS[3], ARGV[6])
if handed then
  return {'handed', handed}
end
return {'left'}

-- Puts somebody out of a kept room and announces it, once; what was permitted to them ends, too.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the removal), 3 keep, 4 run of the server, 5 account that does it, 6 account to put out, or '',
--       7 session to put out, as a member.
-- Returns 'done', 'unknown', 'outside' when there is nobody to put out, or 'forbidden': the owner stays, and an admin is put out
-- by the owner alone.
local room = redis.call('HMGET', KEYS[1], 'kept', 'owner')
if not room[1] then
  return 'unknown'
end
local account, session = ARGV[6], ARGV[7]
local enrolled_key = 'u:' .. account
if redis.call('SISMEMBER', KEYS[3], enrolled_key) == 0 and redis.call('SISMEMBER', KEYS[3], session) == 0 then
  return 'outside'
end
local by_owner = room[2] == ARGV[5]
local is_admin = redis.call('SISMEMBER', KEYS[5], account) == 1
local by_admin = redis.call('SISMEMBER', KEYS[5], ARGV[5]) == 1
if room[2] == account or not (by_owner or (by_admin and not is_admin)) then
  return 'forbidden'
end
local epoch = epoch_of(KEYS[1], ARGV[4])
struck(KEYS[3], KEYS[8], KEYS[5], account)
redis.call('SREM', KEYS[3], session)
redis.call('HDEL', KEYS[4], session)
redis.call('SREM', KEYS[6], session, enrolled_key)
redis.call('HDEL', KEYS[7], session, enrolled_key)
append(KEYS, ARGV, ARGV[2], epoch)
return 'done'

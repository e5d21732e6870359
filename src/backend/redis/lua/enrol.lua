-- Makes an account a member of a room for good and announces it, if the room lets it in. What the room asks of newcomers is
-- asked of members, too, but for its permission.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the join), 3 keep, 4 run of the server, 5 account, 6 '1' if the room must exist, 7 password hash that was
--       proven, or '', 8 number of its request, or '' when its wish is not to be noted, 9 the most that may wait for permission,
--       10 '1' if the account is in as many rooms as allowed.
-- Returns {'in', epoch, offset, time_us, members, announced (1 or 0)} as enter does, or what door returns.
local epoch = epoch_of(KEYS[1], ARGV[4])
local is_member = redis.call('SISMEMBER', KEYS[3], 'u:' .. ARGV[5]) == 1
local denied = door(KEYS, {
  must_exist = ARGV[6], account = ARGV[5], proof = ARGV[7], key = 'u:' .. ARGV[5], name = ARGV[5], most = ARGV[9],
  request = ARGV[8], flag = 'e', is_member = is_member, unnoted = ARGV[8] == '', full = ARGV[10] == '1',
})
if denied then
  return denied
end
if is_member then
  epoch = epoch or begun(KEYS[1], KEYS[2], ARGV[4])
  return {'in', epoch, redis.call('HGET', KEYS[1], 'top') or '0', '0', redis.call('SCARD', KEYS[3]), 0}
end
if ARGV[10] == '1' then
  return {'full'}
end
enrolled(KEYS[3], KEYS[8], ARGV[5])
redis.call('HDEL', KEYS[7], 'u:' .. ARGV[5])
local position = append(KEYS, ARGV, ARGV[2], epoch)
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
return {'in', position[1], position[2], position[3], redis.call('SCARD', KEYS[3]), 1}

-- Makes an account an admin of a kept room, or no longer one, and tells the room; for its owner. What is so already is not told
-- again.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the appointment), 3 keep, 4 run of the server, 5 owner, 6 account, 7 '1' to appoint, 8 the most admins,
--       9 '1' if it must be a member, or to be dismissed an admin.
-- Returns 'done', 'unknown', 'outside', 'forbidden' or 'full'.
local owner = redis.call('HGET', KEYS[1], 'owner')
local refused = runs(KEYS[1], KEYS[5], ARGV[5], true)
if refused == 'unknown' then
  return refused
end
local is_admin = redis.call('SISMEMBER', KEYS[5], ARGV[6]) == 1
if ARGV[9] == '1' then
  local fits = is_admin
  if ARGV[7] == '1' then
    fits = redis.call('SISMEMBER', KEYS[3], 'u:' .. ARGV[6]) == 1
  end
  if not fits then
    return 'outside'
  end
end
if refused then
  return refused
end
if is_admin == (ARGV[7] == '1') or ARGV[6] == owner then
  return 'done'
end
local epoch = epoch_of(KEYS[1], ARGV[4])
if ARGV[7] ~= '1' then
  redis.call('SREM', KEYS[5], ARGV[6])
elseif redis.call('SCARD', KEYS[5]) >= tonumber(ARGV[8]) then
  return 'full'
else
  redis.call('SADD', KEYS[5], ARGV[6])
end
append(KEYS, ARGV, ARGV[2], epoch)
return 'done'

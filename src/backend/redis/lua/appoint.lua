-- Makes an account an admin of a kept room, or no longer one; for its owner.
-- KEYS: 1 room hash, 2 admins. ARGV: 1 owner, 2 account, 3 '1' to appoint, 4 the most admins.
-- Returns 'done', 'unknown', 'forbidden' or 'full'.
local refused = runs(KEYS[1], KEYS[2], ARGV[1], true)
if refused then
  return refused
end
if ARGV[3] ~= '1' then
  redis.call('SREM', KEYS[2], ARGV[2])
elseif redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[4]) and redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 0 then
  return 'full'
else
  redis.call('SADD', KEYS[2], ARGV[2])
end
return 'done'

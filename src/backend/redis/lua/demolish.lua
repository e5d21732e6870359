-- Shared by destroy and resign: the end of a room. Everybody is out, and its stream says so last.
--
-- demolish(keys, argv, payload, retention_ms, epoch): keys and the first four of argv as membership_call passes them; payload is the
-- destruction, epoch what epoch_of said.
local function demolish(keys, argv, payload, retention_ms, epoch)
  append(keys, argv, payload, epoch)
  redis.call('HDEL', keys[1], 'kept', 'owner', 'access', 'password', 'nickname', 'description')
  redis.call('DEL', unpack(keys, 3, 8))
  redis.call('PEXPIRE', keys[1], retention_ms)
  redis.call('PEXPIRE', keys[2], retention_ms)
end

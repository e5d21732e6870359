-- Shared by change, decide and appoint: whether an account may run a kept room.
--
-- runs(meta, admins, account, owner_only) -> nil if it may, else 'unknown' or 'forbidden'
local function runs(meta, admins, account, owner_only)
  local room = redis.call('HMGET', meta, 'kept', 'owner')
  if not room[1] then
    return 'unknown'
  end
  if room[2] == account or (not owner_only and redis.call('SISMEMBER', admins, account) == 1) then
    return nil
  end
  return 'forbidden'
end

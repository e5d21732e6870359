-- Shared by what makes and ends memberships.
--
-- enrolled(members, roll, account) -> true if the account was no member, and is one from now on
-- struck(members, roll, admins, account) -> true if the account was a member, and is none any more; nor is it an admin
-- emptied(meta, log, members, retention_ms): a room that nobody is in and nobody created goes; its history outlives it
local function enrolled(members, roll, account)
  if redis.call('SADD', members, 'u:' .. account) == 0 then
    return false
  end
  local now = redis.call('TIME')
  redis.call('ZADD', roll, now[1] .. string.format('%06d', now[2]), account)
  return true
end

local function struck(members, roll, admins, account)
  redis.call('SREM', admins, account)
  redis.call('ZREM', roll, account)
  return redis.call('SREM', members, 'u:' .. account) == 1
end

local function emptied(meta, log, members, retention_ms)
  if redis.call('EXISTS', members) == 0 and redis.call('HEXISTS', meta, 'kept') == 0 then
    redis.call('PEXPIRE', meta, retention_ms)
    redis.call('PEXPIRE', log, retention_ms)
  end
end

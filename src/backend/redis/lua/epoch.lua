-- Shared by all that reads or continues a room's stream: under which epoch it stands.
--
-- A server that another one follows, or that starts again, may have lost the end of a stream: what is appended then would have the
-- offsets of what was lost. So a stream goes on under another epoch on each server. Up to `floor` its events are those of the epoch
-- `before`: who knows them by that one has missed nothing.
--
-- epoch_of(meta, fresh) -> the epoch, or false when there is no stream
-- begin(meta, log, fresh) -> the epoch of a stream that begins
--   meta, log      keys of the room's hash and stream
--   fresh          "<epoch to be used for a new one> <run of the server>"; without a run the server is one of a cluster
local function life(fresh)
  local epoch, run = string.match(fresh, '^(%d+) (.*)$')
  return epoch, run ~= '' and run or redis.call('CLUSTER', 'MYID')
end

local function renew_epoch(meta, former, fresh)
  local epoch, run = life(fresh)
  redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'before', former, 'floor', redis.call('HGET', meta, 'top') or '0')
  return epoch
end

local function epoch_of(meta, fresh)
  local known = redis.call('HMGET', meta, 'epoch', 'run')
  local _, run = life(fresh)
  if not known[1] or known[2] == run then
    return known[1]
  end
  if not known[2] then
    -- A version wrote it that took no note of servers.
    redis.call('HSET', meta, 'run', run)
    return known[1]
  end
  return renew_epoch(meta, known[1], fresh)
end

local function begin(meta, log, fresh)
  local epoch, run = life(fresh)
  redis.call('HSET', meta, 'epoch', epoch, 'run', run)
  redis.call('DEL', log)
  return epoch
end


-- Shared by all that reads or continues a room's stream: under which epoch it stands.
--
-- A server that another one follows, or that starts again, may have lost the end of a stream: what is appended then would have the
-- offsets of what was lost. So a stream goes on under another epoch on each server. Field `past` has its former epochs, the last
-- ones, each followed by the offset up to which the events are the same: who knows them by that one has missed nothing.
--
-- epoch_of(meta, run) -> the epoch, or false when there is no stream. A script that goes on with a stream asks for it before it
--                  writes anything: a server that does not say who it is ends the script there, and nothing is half done
-- begin(meta, run, former) -> a new epoch, after this one, if any
-- same_up_to(meta, former) -> the offset up to which the events are those of this former epoch, or false
-- begun(meta, log, run) -> the epoch of a stream that begins now
--   meta           key of the room's hash. Its field `on:<run>` is there for the sake of speed: one read tells the epoch and that it
--                  is still the right one
--   run            of the server; '' in a cluster, where the node's id stands for it
local PAST_MAX = 16

local function begin(meta, run, former)
  run = run ~= '' and run or string.sub(redis.call('CLUSTER', 'MYID'), 1, 16)
  local now = redis.call('TIME')
  -- Random enough, and within what a JSON number holds.
  local epoch = string.format('%.0f', tonumber(string.sub(redis.sha1hex(meta .. run .. now[1] .. '.' .. now[2]), 1, 13), 16) + 1)
  redis.call('HDEL', meta, 'on:' .. (redis.call('HGET', meta, 'run') or ''))
  redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'on:' .. run, epoch)
  if former then
    local top = redis.call('HGET', meta, 'top') or '0'
    local past = {}
    for known, floor in string.gmatch(redis.call('HGET', meta, 'past') or '', '(%d+) (%d+)') do
      past[#past + 1] = known .. ' ' .. (tonumber(floor) < tonumber(top) and floor or top)
    end
    past[#past + 1] = former .. ' ' .. top
    redis.call('HSET', meta, 'past', table.concat(past, ' ', math.max(1, #past - PAST_MAX + 1)))
  end
  return epoch
end

local function epoch_of(meta, run)
  run = run ~= '' and run or string.sub(redis.call('CLUSTER', 'MYID'), 1, 16)
  local epoch = redis.call('HGET', meta, 'on:' .. run)
  if epoch then
    return epoch
  end
  local known = redis.call('HMGET', meta, 'epoch', 'run')
  if known[1] and not known[2] then
    -- A version wrote it that took no note of servers.
    redis.call('HSET', meta, 'run', run, 'on:' .. run, known[1])
    return known[1]
  end
  return known[1] and begin(meta, run, known[1])
end

local function same_up_to(meta, former)
  for known, floor in string.gmatch(redis.call('HGET', meta, 'past') or '', '(%d+) (%d+)') do
    if known == former then
      return tonumber(floor)
    end
  end
  return false
end

local function begun(meta, log, run)
  local epoch = begin(meta, run)
  redis.call('DEL', log)
  return epoch
end


-- Shared by all that happens in a room: gives an event its place in a room's stream, keeps it and sends it.
--
-- append(meta, log, channel, payload, keep, fresh_epoch) -> {epoch, offset, time_us}
--   meta, log      keys of the room's hash and stream (one slot)
--   payload        the encoded event, opaque here
--   keep           events to keep, about
--   fresh_epoch    used when the room has no stream yet, or lost it
-- On the channel goes "1 <epoch> <offset> <time_us> <payload>"; 1 is the version of this form.
local function append(meta, log, channel, payload, keep, fresh_epoch)
  local epoch = redis.call('HGET', meta, 'epoch')
  if not epoch then
    epoch = fresh_epoch
    redis.call('HSET', meta, 'epoch', epoch)
    redis.call('DEL', log)
  end
  local offset = redis.call('HINCRBY', meta, 'top', 1)
  local now = redis.call('TIME')
  local time_us = now[1] .. string.format('%06d', now[2])
  redis.call('XADD', log, 'MAXLEN', '~', keep, offset .. '-0', 't', time_us, 'e', payload)
  redis.call('PUBLISH', channel, '1 ' .. epoch .. ' ' .. offset .. ' ' .. time_us .. ' ' .. payload)
  return {epoch, offset, time_us}
end

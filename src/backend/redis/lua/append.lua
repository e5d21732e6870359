-- Shared by all that happens in a room: gives an event its place in a room's stream, keeps it and sends it.
--
-- append(meta, log, channel, payload, keep, run, outbox) -> {epoch, offset, time_us}
--   meta, log      keys of the room's hash and stream (one slot)
--   payload        the encoded event, opaque here
--   keep           events to keep, about; with an outbox what follow_up takes
--   run            see epoch_of
--   outbox         key of the stream for backends, or nil when this is not for them, or there is none
-- On the channel goes "1 <epoch> <offset> <time_us> <payload>"; 1 is the version of this form.
--
-- follow_up(outbox, keep, place, payload) has the backends know.
--   keep           "<events to keep> <entries of the outbox to keep, about> <ms it outlives its last entry, or 0> <room>"
--   place          {epoch, offset, time_us}
local function follow_up(outbox, keep, place, payload)
  local entries, lives_ms, room = string.match(keep, '^%d+ (%d+) (%d+) (.*)$')
  redis.call('XADD', outbox, 'MAXLEN', '~', entries, '*', 'room', room, 'epoch', place[1], 'offset', place[2],
    'time_us', place[3], 'event', payload)
  if lives_ms ~= '0' then
    redis.call('PEXPIRE', outbox, lives_ms)
  end
end

local function append(meta, log, channel, payload, keep, run, outbox)
  local epoch = epoch_of(meta, run)
  if not epoch then
    epoch = begin(meta, run)
    redis.call('DEL', log)
  end
  local offset = redis.call('HINCRBY', meta, 'top', 1)
  local now = redis.call('TIME')
  local time_us = now[1] .. string.format('%06d', now[2])
  local place = {epoch, offset, time_us}
  local events = outbox and string.match(keep, '^%d+') or keep
  redis.call('XADD', log, 'MAXLEN', '~', events, offset .. '-0', 't', time_us, 'e', payload)
  if outbox then
    follow_up(outbox, keep, place, payload)
  end
  redis.call('PUBLISH', channel, '1 ' .. epoch .. ' ' .. offset .. ' ' .. time_us .. ' ' .. payload)
  return place
end

-- Shared by all that happens in a room: gives an event its place in a room's stream, keeps it and sends it.
--
-- append(keys, argv, payload, epoch) -> {epoch, offset, time_us}
--   keys, argv     as membership_call passes them. Of the keys it needs the room's hash and stream, and the ninth, the outbox, if
--                  there is one and this is for it; of argv the channel, keep (events to keep, about; with an outbox what
--                  follow_up takes) and the run of the server
--   payload        the encoded event, opaque here
--   epoch          what epoch_of said
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

local function append(keys, argv, payload, epoch)
  local meta, log, outbox = keys[1], keys[2], keys[9]
  local channel, keep = argv[1], argv[3]
  epoch = epoch or begun(meta, log, argv[4])
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

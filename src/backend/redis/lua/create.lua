-- Makes a room that is kept until it is destroyed; its owner is a member from the beginning. The stream of a former life goes
-- on.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 run of the server, 2 '1' if there are as many kept rooms as allowed, or its owner is in as many, 3 owner or '', 4 keep,
--       5 payload (the creation) for the outbox, then the fields of the record and their values.
-- Returns {1, epoch, top}, {0} when it was created before, {-1} when it exists by its members alone, {-2} when there are too
-- many.
if redis.call('HEXISTS', KEYS[1], 'kept') == 1 then
  return {0}
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {-1}
end
if ARGV[2] == '1' then
  return {-2}
end
local epoch = epoch_of(KEYS[1], ARGV[1])
epoch = epoch or begun(KEYS[1], KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'kept', 1, unpack(ARGV, 6))
if ARGV[3] ~= '' then
  enrolled(KEYS[3], KEYS[8], ARGV[3])
end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
local top = tonumber(redis.call('HGET', KEYS[1], 'top') or '0')
if KEYS[9] then
  local now = redis.call('TIME')
  follow_up(KEYS[9], ARGV[4], {epoch, top, now[1] .. string.format('%06d', now[2])}, ARGV[5])
end
return {1, tonumber(epoch), top}

-- Publishes an event into a room; under a key only once.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 where a publication under this key stands, or none.
-- ARGV: 1 channel, 2 payload, 3 keep, 4 run of the server, 5 session that must be a member, or '' for anyone, 6 account that will do in
--       its place, as a member, or '', 7 number of the message, 8 for how long the key is remembered in ms, 9 retention in ms of a
--       room that has no members and that nobody created, or '' for ever.
-- Returns "<epoch> <offset> <time_us> <number> <repeated, 1 or 0>", which is cheaper than a list of them, or nothing when neither is
--       a member.
if KEYS[4] then
  local before = redis.call('GET', KEYS[4])
  if before then
    return before .. ' 1'
  end
end
local function is_member(key)
  return key ~= '' and redis.call('SISMEMBER', KEYS[3], key) == 1
end
if ARGV[5] ~= '' and not is_member(ARGV[5]) and not is_member(ARGV[6]) then
  return false
end
local place = append(KEYS, ARGV, ARGV[2], epoch_of(KEYS[1], ARGV[4]))
local answer = table.concat(place, ' ') .. ' ' .. ARGV[7]
if KEYS[4] then
  redis.call('SET', KEYS[4], answer, 'PX', ARGV[8])
end
if ARGV[5] == '' and ARGV[9] ~= '' and redis.call('EXISTS', KEYS[3]) == 0 and redis.call('HEXISTS', KEYS[1], 'kept') == 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[9])
  redis.call('PEXPIRE', KEYS[2], ARGV[9])
end
return answer .. ' 0'

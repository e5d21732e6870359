-- Notes up to where an account was told, in rooms that stand in its list. Never back to before what is noted under the same epoch: that
-- comes from a session whose place another one has taken.
-- KEYS: 1 the account's rooms. ARGV: rooms and "<epoch> <offset>", by turns.
-- Returns which of the rooms do not stand in the list, counted from 0.
local unlisted = {}
for at = 1, #ARGV, 2 do
  local noted = redis.call('HGET', KEYS[1], ARGV[at])
  local epoch, offset = string.match(noted or '', '^(%d+) (%d+)$')
  local told_epoch, told_offset = string.match(ARGV[at + 1], '^(%d+) (%d+)$')
  if not noted then
    unlisted[#unlisted + 1] = (at - 1) / 2
  elseif epoch ~= told_epoch or tonumber(offset) < tonumber(told_offset) then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
return unlisted

-- Changes fields of a kept room's record. KEYS: 1 room hash, 2 admins. ARGV: 1 account, then fields and values; an empty
-- value removes its field.
-- Returns 'done', 'unknown' or 'forbidden'.
local refused = runs(KEYS[1], KEYS[2], ARGV[1], false)
if refused then
  return refused
end
for field = 2, #ARGV, 2 do
  if ARGV[field + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[field])
  else
    redis.call('HSET', KEYS[1], ARGV[field], ARGV[field + 1])
  end
end
return 'done'

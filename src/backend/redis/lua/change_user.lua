-- Changes fields of an account.
-- KEYS: 1 user hash. ARGV: fields and values, by turns.
-- Returns 1, or 0 when there is no such account.
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  return 0
end
if #ARGV > 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV))
end
return 1

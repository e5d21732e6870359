-- Notes up to where an account was told, in rooms that stand in its list.
-- KEYS: 1 the account's rooms. ARGV: rooms and "<epoch> <offset>", by turns.
for at = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[at]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end

-- Takes a room out of an account's list, if what is noted there is this still.
-- KEYS: 1 the account's rooms. ARGV: 1 room, 2 what is noted.
-- Returns 1 if it was taken out, else 0.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
return redis.call('HDEL', KEYS[1], ARGV[1])

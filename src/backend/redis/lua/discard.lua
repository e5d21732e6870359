-- Forgets pushes of an inbox. KEYS: 1 inbox. ARGV: their ids.
redis.call('XDEL', KEYS[1], unpack(ARGV))
-- What their numbers must exceed is noted with the account; nothing of an empty inbox need stay.
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end

-- Notes a room in an account's list before the room is asked to have it as a member. What was noted for sure stays.
-- KEYS: 1 the account's rooms. ARGV: 1 room, 2 mark of this attempt, 3 the most rooms.
-- Returns 1, or 0 when there are as many as allowed. The mark of an attempt that came before is replaced, so that taking that one
-- back does not take this one back.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return 0
end
if not known or string.sub(known, 1, 1) == '?' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1

-- Lets somebody who asked into a permission room, or not. An account that wanted to be a member for good is one then, and that is
-- announced.
-- KEYS: 1 room hash, 2 room stream, 3 members, 4 who, 5 admins, 6 admitted, 7 applicants, 8 roll, 9 outbox, if there is one.
-- ARGV: 1 channel, 2 payload (the join of the account that ARGV 8 names), 3 keep, 4 run of the server, 5 account that decides,
--       6 'key' | 'name' | 'request', 7 the applicant's key, name or number, 8 key of the account in whose list the room stands, or
--       '', 9 '1' to approve.
-- Returns {'done', key, value}, and the position if it became a member; {'unknown'}, {'forbidden'}, {'nobody'}; or
-- {'list', key, value} when nothing was done yet, because the room must stand in that account's list first.
local refused = runs(KEYS[1], KEYS[5], ARGV[5], false)
if refused then
  return {refused}
end
local key, value
if ARGV[6] == 'key' then
  key, value = ARGV[7], redis.call('HGET', KEYS[7], ARGV[7])
else
  local waiting = redis.call('HGETALL', KEYS[7])
  for at = 1, #waiting, 2 do
    local request, _, _, identifier = read_applicant(waiting[at + 1])
    if ARGV[7] == (ARGV[6] == 'request' and request or identifier) then
      key, value = waiting[at], waiting[at + 1]
    end
  end
end
if not value then
  return {'nobody'}
end
local approved = ARGV[9] == '1'
local _, _, flag = read_applicant(value)
local enrols = approved and flag == 'e'
if enrols and ARGV[8] ~= key then
  return {'list', key, value}
end
local epoch = enrols and epoch_of(KEYS[1], ARGV[4])
redis.call('HDEL', KEYS[7], key)
if approved then
  redis.call('SADD', KEYS[6], key)
end
if enrols and enrolled(KEYS[3], KEYS[8], string.sub(key, 3)) then
  local position = append(KEYS, ARGV, ARGV[2], epoch)
  return {'done', key, value, position[1], position[2]}
end
return {'done', key, value}

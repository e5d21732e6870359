-- Lets somebody who asked into a permission room, or not.
-- KEYS: 1 room hash, 2 admins, 3 admitted, 4 applicants.
-- ARGV: 1 account, 2 key of the applicant or '', 3 its name (looked for where there is no key), 4 '1' to approve.
-- Returns {'done', key, name}, {'unknown'}, {'forbidden'} or {'nobody'}.
local refused = runs(KEYS[1], KEYS[2], ARGV[1], false)
if refused then
  return {refused}
end
local key, name = ARGV[2], false
if key ~= '' then
  name = redis.call('HGET', KEYS[4], key)
else
  local waiting = redis.call('HGETALL', KEYS[4])
  for at = 1, #waiting, 2 do
    if waiting[at + 1] == ARGV[3] then
      key, name = waiting[at], waiting[at + 1]
    end
  end
end
if not name then
  return {'nobody'}
end
redis.call('HDEL', KEYS[4], key)
if ARGV[4] == '1' then
  redis.call('SADD', KEYS[3], key)
end
return {'done', key, name}

-- Shared by enter and enrol: whether a room lets somebody in. Who has to wait for permission is noted.
--
-- door(keys, ticket) -> nil when it does, else what the script is to return: {'unknown'}, {'password', hash},
--   {'permission', owner, admins...} (without names when it waits already, or is not noted), {'full'}.
--   keys     as membership_call passes them
--   ticket   must_exist ('1'), account or '', proof or '', key and name of the person, request, flag ('e' or '-'),
--            most (that may wait), is_member (of a room that asks for permission it is no more asked),
--            unnoted (its wish is not to be noted), full (so is anything else that would be done)

-- A name has one holder: whoever asked under it before has another by now, and must not be approved in its place.
local function wait(applicants, ticket)
  local waiting = redis.call('HGETALL', applicants)
  for at = 1, #waiting, 2 do
    local request, asked_s, flag, identifier = read_applicant(waiting[at + 1])
    if identifier == ticket.name then
      local other = applicant(request, asked_s, flag, string.sub(waiting[at], 3))
      redis.call('HSET', applicants, waiting[at], other)
    end
  end
  local now_s = redis.call('TIME')[1]
  redis.call('HSET', applicants, ticket.key, applicant(ticket.request, now_s, ticket.flag, ticket.name))
end

local function permission(keys, ticket, owner)
  if ticket.is_member or redis.call('SISMEMBER', keys[6], ticket.key) == 1 then
    return nil
  end
  if ticket.full then
    return {'full'}
  end
  local before = redis.call('HGET', keys[7], ticket.key)
  if before then
    local request, asked_s, flag, identifier = read_applicant(before)
    if ticket.flag == 'e' and flag ~= 'e' and not ticket.unnoted then
      redis.call('HSET', keys[7], ticket.key, applicant(request, asked_s, 'e', identifier))
    end
    return {'permission'}
  end
  if ticket.unnoted then
    return {'permission'}
  end
  if redis.call('HLEN', keys[7]) >= tonumber(ticket.most) then
    return {'full'}
  end
  wait(keys[7], ticket)
  local answer = redis.call('SMEMBERS', keys[5])
  table.insert(answer, 1, owner or '')
  table.insert(answer, 1, 'permission')
  return answer
end

local function door(keys, ticket)
  local room = redis.call('HMGET', keys[1], 'kept', 'owner', 'access', 'password')
  if ticket.must_exist == '1' and not room[1] and redis.call('EXISTS', keys[3]) == 0 then
    return {'unknown'}
  end
  local account = ticket.account
  if not room[3] or (account ~= '' and (room[2] == account or redis.call('SISMEMBER', keys[5], account) == 1)) then
    return nil
  end
  if room[3] == 'password' and room[4] and room[4] ~= ticket.proof then
    return {'password', room[4]}
  end
  if room[3] == 'permission' then
    return permission(keys, ticket, room[2])
  end
  return nil
end

-- Shared by what is claimed under a lease: notes the claim there in the same step.
--
-- The last two keys are the lease and its claims, the last argument is the claim; they are taken off. In a cluster, where the lease is
-- in another slot, that argument is '', those keys are not there, and the claim was noted before.
--
-- noted() -> false when the lease is gone: then it is swept, and nobody would look at the note again
-- refused(answer) -> the answer; the claim is not made, and its note forgotten
local claim = table.remove(ARGV)
local claims = claim ~= '' and table.remove(KEYS)
local lease = claim ~= '' and table.remove(KEYS)

local function noted()
  if lease and redis.call('EXISTS', lease) == 0 then
    return false
  end
  if lease then
    redis.call('SADD', claims, claim)
  end
  return true
end

local function refused(answer)
  if lease then
    redis.call('SREM', claims, claim)
  end
  return answer
end

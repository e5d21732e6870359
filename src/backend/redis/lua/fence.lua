-- Shared by what is claimed under a lease: whether that lease may have ended. The claim and the lease are in different slots, so
-- it is told by the clock of Redis, which also ends the lease: who sweeps it comes later, and finds what was claimed before.
--
-- fenced(ends_ms) -> true from the time on at which the lease ends unless it was renewed meanwhile
local function fenced(ends_ms)
  local now = redis.call('TIME')
  return now[1] * 1000 + now[2] / 1000 >= tonumber(ends_ms)
end

-- Shared by enter, enrol and decide: who waits for a room's permission, "<request> <asked_s> <e|-> <identifier>" each; e: wants
-- to be a member for good.
--
-- read_applicant(value) -> request, asked_s, flag, identifier
local function read_applicant(value)
  return string.match(value, '^(%d+) (%d+) ([e-]) (.*)$')
end

local function applicant(request, asked_s, flag, identifier)
  return request .. ' ' .. asked_s .. ' ' .. flag .. ' ' .. identifier
end

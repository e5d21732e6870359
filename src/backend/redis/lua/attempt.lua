-- Counts an attempt at something secret before it is looked at.
-- KEYS: 1 what is attempted. ARGV: 1 attempts in a row without waiting, 2 the first wait, 3 the longest, 4 after which time without
--       attempts all is forgotten, all in ms.
-- Returns 1, or 0 when one has to wait; that is not counted.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local before = redis.call('HMGET', KEYS[1], 'n', 'until_ms')
local until_ms = tonumber(before[2] or '0')
if now_ms < until_ms then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return 0
end
local n = tonumber(before[1] or '0') + 1
if n >= tonumber(ARGV[1]) then
  until_ms = now_ms + math.min(ARGV[2] * 2 ^ (n - ARGV[1]), tonumber(ARGV[3]))
end
redis.call('HSET', KEYS[1], 'n', n, 'until_ms', string.format('%.0f', until_ms))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1

#!lua flags=allow-oom
-- Forgets gates whose time has passed.
-- KEYS     gate
-- ARGV     none
-- Returns  how many it forgot, as text
-- Why      A lane that emptied while it slept is never claimed again, so that claim cannot forget its gate (trap 20).
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local gates, forgotten = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #gates, 2 do
  if tonumber(gates[i + 1]) <= now then
    redis.call('HDEL', KEYS[1], gates[i])
    forgotten = forgotten + 1
  end
end
return tostring(forgotten)

#!lua flags=allow-oom
-- Removes gates whose time has passed.
-- KEYS     gate
-- ARGV     none
-- Returns  how many it removed, as text
-- Why      A lane that became empty while it was blocked is never claimed again, so that claim cannot remove its gate.
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

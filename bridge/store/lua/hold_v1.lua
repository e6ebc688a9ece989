#!lua flags=allow-oom
-- Leases items by name, due or not, so that an answer that shows them can be applied to them.
-- KEYS     seq, the lane's queue
-- ARGV     lease ms, then members
-- Returns  the token, now ms, then per member when it would have been due, '' where it is not waiting
-- Why      Only the holder of an item's lease may write its results. Items in flight are left alone, also those whose
--          lease has just ended, which the next claim takes. The lane's wake-up stays: it is not after these due times.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local token = string.format('-%.3f', now + tonumber(ARGV[1]) + redis.call('INCR', KEYS[1]) % 1000 / 1000)
local out = {token, tostring(now)}
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[2], ARGV[i])
  if score and tonumber(score) >= 0 then
    redis.call('ZADD', KEYS[2], token, ARGV[i])
    out[#out + 1] = score
  else
    out[#out + 1] = ''
  end
end
return out

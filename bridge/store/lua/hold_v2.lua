#!lua flags=allow-oom
-- Leases items by name, due or not, so that an answer that shows them can be applied to them.
-- KEYS     seq, the lane's queue
-- ARGV     lease ms, then members
-- Returns  the token, now ms, number of items in the lane, then per member when it would have been due; of one in
--          flight minus the end of its lease, and '' where there is none
-- Why      Only the holder of an item's lease may write its results. Items in flight are left alone, also those whose
--          lease has just ended, which the next claim takes. The lane's wake-up stays: it is not after these due times.
--          Version 2 tells what is in flight from what is not there.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local token = string.format('-%.3f', now + tonumber(ARGV[1]) + redis.call('INCR', KEYS[1]) % 1000 / 1000)
local out = {token, tostring(now), tostring(redis.call('ZCARD', KEYS[2]))}
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[2], ARGV[i])
  if score and tonumber(score) >= 0 then
    redis.call('ZADD', KEYS[2], token, ARGV[i])
  end
  out[#out + 1] = score or ''
end
return out

#!lua flags=allow-oom
-- Leases items by name, due or not: an answer that is at hand speaks of them too.
-- KEYS     seq, the lane's queue
-- ARGV     lease ms, then members
-- Returns  the token, now ms, then per member when it would have been due, '' where it is not waiting
-- Why      Whoever holds an item alone may write what it learnt. Items in flight are another's, also one whose lease
--          has just ended: a claim brings it back. The lane's wake-up stays: it is no later than these due times.
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

#!lua flags=allow-oom
-- Makes leases last longer, for who still has them.
-- KEYS     seq, the lane's queue
-- ARGV     lease ms, then per item: member, token
-- Returns  per item its new token, '' where the lease is another's by now
-- Why      A short lease brings a dead worker's items back soon; who lives and takes long renews it. The lane's
--          wake-up stays: too early costs a visit. A renewal that was cut off and sent again finds its own new token
--          and says '': its holder is then fenced, and the item comes back when the lease ends.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local token = string.format('-%.3f', now + tonumber(ARGV[1]) + redis.call('INCR', KEYS[1]) % 1000 / 1000)
local out = {}
for i = 2, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[2], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    redis.call('ZADD', KEYS[2], token, ARGV[i])
    out[#out + 1] = token
  else
    out[#out + 1] = ''
  end
end
return out

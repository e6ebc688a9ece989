#!lua flags=allow-oom
-- Extends leases that the caller still has.
-- KEYS     seq, the lane's queue
-- ARGV     lease ms, then per item: member, token
-- Returns  per item its new token, '' if the lease was lost
-- Why      Leases are short, so that a dead worker's items return soon; slow work renews them. The lane's wake-up
--          stays, which costs at most a visit too early. A renewal that is sent again after a broken connection finds
--          its own new token and returns '': its holder is then fenced, and the item returns when the lease ends.
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

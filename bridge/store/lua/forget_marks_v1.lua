#!lua flags=allow-oom
-- Forgets how URLs and origins fared, where that is long ago or there are too many.
-- KEYS     good, slow, down
-- ARGV     per key: ms before which a mark is forgotten, most marks kept
-- Returns  how many it forgot, as text
-- Why      URLs that are called once, as workflow engines make them, leave a mark each.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local forgotten = 0
for k = 1, #KEYS do
  forgotten = forgotten + redis.call('ZREMRANGEBYSCORE', KEYS[k], '-inf', now - tonumber(ARGV[2 * k - 1]))
  forgotten = forgotten + redis.call('ZREMRANGEBYRANK', KEYS[k], 0, -1 - tonumber(ARGV[2 * k]))
end
return tostring(forgotten)

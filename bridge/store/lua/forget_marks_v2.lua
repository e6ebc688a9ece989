#!lua flags=allow-oom
-- Forgets how URLs and origins fared, where that is long ago or there are too many.
-- KEYS     good, slow, down, streaks, opened, ramps, lanes, gate
-- ARGV     per key up to `ramps`: ms before which a mark is forgotten, most marks kept
-- Returns  how many it forgot, as text
-- Why      URLs that are called once, as workflow engines make them, leave a mark each. An open breaker is kept while anything
--          waits behind it: then its lane is in `lanes`. One that is over was left by a lane that ran empty meanwhile.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local forgotten = 0
local function forget(k)
  forgotten = forgotten + redis.call('ZREMRANGEBYSCORE', KEYS[k], '-inf', now - tonumber(ARGV[2 * k - 1]))
end
local function trim(k)
  forgotten = forgotten + redis.call('ZREMRANGEBYRANK', KEYS[k], 0, -1 - tonumber(ARGV[2 * k]))
end
for k = 1, 4 do
  forget(k)
  trim(k)
end
local over = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now - tonumber(ARGV[11]))
for _, lane in ipairs(over) do redis.call('ZREM', KEYS[5], lane) end
forget(6)
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - tonumber(ARGV[9]))) do
  if not redis.call('ZSCORE', KEYS[7], lane) and redis.call('HEXISTS', KEYS[8], lane) == 0 then
    redis.call('ZREM', KEYS[6], lane)
    forgotten = forgotten + redis.call('ZREM', KEYS[5], lane)
  end
end
trim(5)
trim(6)
return tostring(forgotten)

#!lua flags=allow-oom
-- Closes the breaker of a lane as if nothing had failed there, and wakes the lane.
-- KEYS     lanes, gate, opened, ramps, streaks, the lane's queue
-- ARGV     lane
-- Returns  '1' if the breaker was open, else '0'
-- Why      A person has changed something about the receiver: what failed before says nothing any more. An earlier visit of the
--          queue is published as in settle_v2.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
local was_open = redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
local first = redis.call('ZRANGEBYSCORE', KEYS[6], 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if first[2] then
  local head, wake = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2], math.max(now, tonumber(first[2]))
  redis.call('ZADD', KEYS[1], 'LT', wake, ARGV[1])
  if not head or wake < tonumber(head) then redis.pcall('PUBLISH', KEYS[1], '') end
end
return tostring(was_open)

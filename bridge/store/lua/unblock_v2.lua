#!lua flags=allow-oom
-- Wakes a lane; and makes a step of its waiting items due now.
-- KEYS     lanes, gate, the lane's queue
-- ARGV     lane, how many waiting items to make due (0: none)
-- Returns  how many were made due, as text; fewer than asked: there are no more
-- Why      In steps, because one script must not hold Redis for a lane of 100,000. An earlier visit of the queue is published as in settle_v2.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lane, queue, most, moved = ARGV[1], KEYS[3], tonumber(ARGV[2]), 0
redis.call('HDEL', KEYS[2], lane)
if most > 0 then
  local members, due = redis.call('ZRANGEBYSCORE', queue, '(' .. now, '+inf', 'LIMIT', 0, most), {}
  for i = 1, #members do
    due[2 * i - 1], due[2 * i] = now, members[i]
  end
  moved = #members
  if moved > 0 then redis.call('ZADD', queue, unpack(due)) end
end
local wake = math.huge
local first = redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if first[2] then wake = tonumber(first[2]) end
local held = redis.call('ZREVRANGEBYSCORE', queue, '(0', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if held[2] then wake = math.min(wake, math.floor(-tonumber(held[2]))) end
if wake < math.huge then
  local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  wake = math.max(wake, now)
  redis.call('ZADD', KEYS[1], 'LT', wake, lane)
  if not head or wake < tonumber(head) then redis.pcall('PUBLISH', KEYS[1], '') end
end
return tostring(moved)

#!lua flags=allow-oom
-- Ends leases: each item leaves its queue or waits until its next due time, and its record is written.
-- KEYS     lanes, gate, nudge, full, then the queue of each lane, then the records of each item
-- ARGV     number of lanes, then per lane: name, number of items, then per item: member, token, delay ms ('' leaves
--          the queue), number of its records, then each of them
-- Returns  the members whose lease was lost, for which nothing was written
-- Why      A nudge written while the item was in flight wins over a later due time, and over leaving. The lane's
--          wake-up is only moved earlier here (claim computes it exactly), but never before its gate, when a visit
--          would be useless. In a lane that was full the first waiting item counts too, because it has room now.
--          Whoever waits for the queue knows the time of its next visit; a message on the channel named as `lanes` tells
--          that it has become earlier. A store user who may not publish is no reason to fail: workers look by themselves.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local nudged = redis.call('HLEN', KEYS[3]) > 0
local gated = redis.call('HLEN', KEYS[2]) > 0
local crowded = redis.call('SCARD', KEYS[4]) > 0
local lanes = tonumber(ARGV[1])
local a, record, fenced, wakes = 2, 4 + lanes, {}, {}
for l = 1, lanes do
  local lane, count, queue = ARGV[a], tonumber(ARGV[a + 1]), KEYS[4 + l]
  a = a + 2
  local members, waiting, leaving, wake = {}, {}, {}, math.huge
  local at = a
  for i = 1, count do
    members[i] = ARGV[at]
    at = at + 4 + tonumber(ARGV[at + 3])
  end
  local scores = redis.call('ZMSCORE', queue, unpack(members))
  for i = 1, count do
    local member, delay, records = ARGV[a], ARGV[a + 2], tonumber(ARGV[a + 3])
    if not scores[i] or tonumber(scores[i]) ~= tonumber(ARGV[a + 1]) then
      fenced[#fenced + 1] = member
    else
      local due = delay ~= '' and now + tonumber(delay) or math.huge
      local sooner = nudged and redis.call('HGET', KEYS[3], member)
      if sooner then
        redis.call('HDEL', KEYS[3], member)
        due = math.min(due, tonumber(sooner))
      end
      if due < math.huge then
        wake = math.min(wake, due)
        waiting[#waiting + 1] = due
        waiting[#waiting + 1] = member
      else
        leaving[#leaving + 1] = member
      end
      for r = 1, records do
        redis.call('SET', KEYS[record + r], ARGV[a + 3 + r], 'XX', 'KEEPTTL')
      end
    end
    record = record + records
    a = a + 4 + records
  end
  if waiting[1] then redis.call('ZADD', queue, unpack(waiting)) end
  if leaving[1] then redis.call('ZREM', queue, unpack(leaving)) end
  if crowded and (waiting[1] or leaving[1]) and redis.call('SISMEMBER', KEYS[4], lane) == 1 then
    local first = redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then wake = math.min(wake, tonumber(first[2])) end
  end
  if wake < math.huge then
    local blocked = gated and tonumber(redis.call('HGET', KEYS[2], lane) or 0) or 0
    wakes[#wakes + 1] = math.max(wake, now, blocked)
    wakes[#wakes + 1] = lane
  end
end
if wakes[1] then
  local head, soonest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2], math.huge
  for i = 1, #wakes, 2 do soonest = math.min(soonest, wakes[i]) end
  redis.call('ZADD', KEYS[1], 'LT', unpack(wakes))
  if not head or soonest < tonumber(head) then redis.pcall('PUBLISH', KEYS[1], '') end
end
return fenced

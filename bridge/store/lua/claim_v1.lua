#!lua flags=allow-oom
-- Leases due items of some lanes, and sets each lane's next visit exactly.
-- KEYS     lanes, gate, seq, full, then the queue of each lane
-- ARGV     lease ms, most items, most items of one lane, then per lane: name, cap (0: none)
-- Returns  token, now ms, then per lane with items: its number (from 1), {member, old score, ...}; numbers as text
-- Why      The lease is the item's score: -(lease end), with the claim's number as fraction, so that it differs from
--          all due times and all other leases. Expired leases sort before due items. A full lane is visited when a
--          lease ends; `full` tells settle to wake it sooner. A lane with more overdue items is visited `now`, not at their
--          due time, so that overdue lanes take turns. A visit too early costs little, one too late would delay items.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease, left, page = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local token = string.format('-%.3f', now + lease + redis.call('INCR', KEYS[3]) % 1000 / 1000)
local gated = redis.call('HLEN', KEYS[2]) > 0
local crowded = redis.call('SCARD', KEYS[4]) > 0
local out, wakes, empty, full, free = {token, tostring(now)}, {}, {}, {}, {}
for k = 5, #KEYS do
  if left <= 0 then break end
  local queue, lane, cap = KEYS[k], ARGV[2 * k - 6], tonumber(ARGV[2 * k - 5])
  local blocked = gated and tonumber(redis.call('HGET', KEYS[2], lane) or 0) or 0
  if blocked > 0 and blocked <= now then
    redis.call('HDEL', KEYS[2], lane)
  end
  local room = math.huge
  if cap > 0 then room = cap - redis.call('ZCOUNT', queue, '-inf', '(-' .. now) end
  local most, got = math.min(left, page, room), 0
  if blocked <= now and most > 0 then
    local found = redis.call('ZRANGEBYSCORE', queue, -now, now, 'WITHSCORES', 'LIMIT', 0, most)
    if found[1] then
      local leased = {}
      for i = 1, #found, 2 do
        leased[i], leased[i + 1] = token, found[i]
      end
      redis.call('ZADD', queue, unpack(leased))
      got = #found / 2
      left = left - got
      out[#out + 1] = tostring(k - 4)
      out[#out + 1] = found
    end
  end
  if room <= got then
    full[#full + 1] = lane
  elseif crowded then
    free[#free + 1] = lane
  end
  local wake = math.huge
  local size = redis.call('ZCARD', queue)
  if size == 0 then
    empty[#empty + 1] = lane
  elseif size == got then
    wake = now + lease
  else
    local held = redis.call('ZREVRANGEBYSCORE', queue, '(0', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if held[2] then wake = -tonumber(held[2]) end
    if room > got then
      local waiting = redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      if waiting[2] then wake = math.min(wake, tonumber(waiting[2])) end
    end
  end
  if wake < math.huge then
    wakes[#wakes + 1] = math.floor(math.max(wake, now, blocked))
    wakes[#wakes + 1] = lane
  end
end
if wakes[1] then redis.call('ZADD', KEYS[1], unpack(wakes)) end
if empty[1] then redis.call('ZREM', KEYS[1], unpack(empty)) end
if free[1] then redis.call('SREM', KEYS[4], unpack(free)) end
if full[1] then redis.call('SADD', KEYS[4], unpack(full)) end
return out

#!lua flags=allow-oom
-- Leases the deliveries of lanes that are due; lanes of one origin share its slots in turns.
-- KEYS     lanes, gate, seq, full, good, slow, proven, down, opened, ramps; per origin: fly, turns, tags; each lane's queue, named at its end
-- ARGV     lease ms, most items, most items of one URL (but for a ramp), most risky items, failures after which an origin is down, ms of a
--          ramp, ms of its steps; per limit (healthy, unknown, slow, stranger, unreachable): per lane, young ms, young, total,
--          burst, interval ms; number of origins, then their names; per lane: number of its origin, or minus its cap
-- Returns  token, now ms, the numbers of lanes left out because of `most risky items`, those of lanes whose item is a probe,
--          then per lane with items: its number (from 1; negative: risky; .5 more: at an origin that never answered 2xx),
--          how many items it has in all, {member, old score, ...}
-- Why      Leases are as in claim_v1. `fly` holds the attempts in flight at an origin, as token and member, scored by the
--          end of the lease and the pool in eighths: they are counted, never kept as a number, so that nothing leaks.
--          A pool is a kind of lanes with slots of its own: 1 healthy, 2 unknown, 3 slow; at a stranger or a down origin
--          all lanes are in pool 2 and all attempts count there. Those are paced too: the member `rate` of `fly` holds the
--          theoretical arrival time (GCRA), `burst` attempts at once and then one each `interval`.
--          A lane that has due items and finds no slot waits in `turns`. Its score is
--          pool * 1e12 + tag; tag = max(last served, last of the project) + 1 (start-time fair queueing): turns go round
--          by project, within one in order of arrival. Of the lanes in `turns` the first `room` may take, whoever is visited
--          first, so that none can push in. They are due in `lanes`; without room the first one is, at the time when
--          a slot can come free by itself. The others are visited a minute or two later all the same: a worker of
--          version 0.1 beside this one, or after it, knows `lanes` only. An earlier visit is published as in settle_v2.
--          A lane in `opened` has an open breaker (see settle_fair_v3). Its sleep is its gate; once that is over one item at
--          a time is taken, as a probe. A lane in `ramps` too has just answered a probe with 2xx: what waits is let out in
--          steps, with a gate between them, one item first and ten in the last one. A worker of the version before this
--          one takes one item at a time from an open lane too, as it is not in `good`.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease, left, page = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local risks, down_after, ramp_ms, step_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local POOL, SNOOZE, REVISIT, DOWN_MS, MOVED, SHORT = 1e12, 200, 60000, 3600000, 50, 16
local limits = {}
for r = 1, 5 do
  local i = 6 * r + 2
  limits[r] = {
    lane = tonumber(ARGV[i]), young_ms = tonumber(ARGV[i + 1]), young = tonumber(ARGV[i + 2]),
    total = tonumber(ARGV[i + 3]), burst = tonumber(ARGV[i + 4]), interval = tonumber(ARGV[i + 5]),
  }
end
local origins = tonumber(ARGV[38])
local queues, head = 10 + 3 * origins, 38 + origins
local token = string.format('-%.3f', now + lease + redis.call('INCR', KEYS[3]) % 1000 / 1000)
local gated = redis.call('HLEN', KEYS[2]) > 0
local crowded = redis.call('SCARD', KEYS[4]) > 0

local names, good, slow, proven, down, ramped, half_open = {}, {}, {}, {}, {}, {}, {}
local prefix = #KEYS > queues and select(2, string.find(KEYS[queues + 1], ':q:', 1, true)) or 0
for l = 1, #KEYS - queues do names[l] = string.sub(KEYS[queues + l], prefix + 1) end
local slot_ends = {}  -- as text, as each number would be turned into it once for each item
for p = 1, 3 do slot_ends[p] = string.format('%.3f', now + lease + p / 8) end
if names[1] then
  good = redis.call('ZMSCORE', KEYS[5], unpack(names))
  slow = redis.call('ZMSCORE', KEYS[6], unpack(names))
  if redis.call('ZCARD', KEYS[9]) > 0 then
    half_open = redis.call('ZMSCORE', KEYS[9], unpack(names))
    ramped = redis.call('ZMSCORE', KEYS[10], unpack(names))
  end
end
if origins > 0 then
  proven = redis.call('HMGET', KEYS[7], unpack(ARGV, 39, head))
  down = redis.call('ZMSCORE', KEYS[8], unpack(ARGV, 39, head))
end

local opened = {}
local function open(o)
  local place = {
    fly = KEYS[8 + 3 * o], turns = KEYS[9 + 3 * o], tags = KEYS[10 + 3 * o], rate = now,
    limits = limits, total = {0, 0, 0}, young = {0, 0, 0}, ends = {}, ages = {}, flights = {}, snoozed = false,
    waiting = redis.call('ZCARD', KEYS[9 + 3 * o]),
  }
  local failed = tonumber(down[o] or 0)
  if failed % 1000 >= down_after and failed > now - DOWN_MS then
    place.strict = limits[5]
  elseif not proven[o] then
    place.strict = limits[4]
  end
  if place.strict then place.limits = {place.strict, place.strict, place.strict} end
  local flying, expired = redis.call('ZRANGE', place.fly, 0, -1, 'WITHSCORES'), false
  for i = 1, #flying, 2 do
    local ends = tonumber(flying[i + 1])
    if flying[i] == 'rate' then
      place.rate = math.max(now, ends)
    elseif ends < now + 1 then
      expired = true
    else
      local p = place.strict and 2 or ends % 1 * 8
      local aged = ends - lease + place.limits[p].young_ms
      place.total[p] = place.total[p] + 1
      place.ends[p] = math.min(place.ends[p] or ends, ends)
      if aged > now then
        place.young[p] = place.young[p] + 1
        place.ages[p] = math.min(place.ages[p] or aged, aged)
      end
    end
  end
  if expired then redis.call('ZREMRANGEBYSCORE', place.fly, '-inf', '(' .. now + 1) end
  place.waited = place.waiting > 0
  opened[o] = place
  return place
end

local function room(place, p)
  local limit = place.limits[p]
  local free = math.min(limit.total - place.total[p], limit.young - place.young[p])
  if limit.interval == 0 then return free end
  return math.min(free, math.floor(limit.burst - (place.rate - now) / limit.interval))
end

local function join(place, p, lane, score)
  score = tonumber(score)
  if score and math.floor(score / POOL) == p then return score end
  local project = string.match(lane, '^%S+')
  local last = redis.call('HMGET', place.tags, p .. '|', p .. '|' .. project)
  local tag = math.max(tonumber(last[1] or 0), tonumber(last[2] or 0)) + 1
  redis.call('HSET', place.tags, p .. '|' .. project, tag)
  redis.call('ZADD', place.turns, p * POOL + tag, lane)
  if not score then place.waiting = place.waiting + 1 end
  place.waited = true
  return p * POOL + tag
end

local function leave(place, lane)
  place.waiting = place.waiting - redis.call('ZREM', place.turns, lane)
end

-- Returns a queue's size, its live leases, at most so many of its due items with their scores, and all scores of a short one.
local function read(queue, most, cap)
  local whole, scores, live, found = redis.call('ZRANGE', queue, 0, SHORT - 1, 'WITHSCORES'), {}, 0, {}
  if #whole == 2 * SHORT then
    live = redis.call('ZCOUNT', queue, '-inf', '(-' .. now)
    most = math.min(most, cap - live)
    if most > 0 then found = redis.call('ZRANGEBYSCORE', queue, -now, now, 'WITHSCORES', 'LIMIT', 0, most) end
    return redis.call('ZCARD', queue), live, found
  end
  for i = 2, #whole, 2 do
    local score = tonumber(whole[i])
    scores[i / 2] = score
    if score < -now then
      live = live + 1
    elseif score <= now and #found < 2 * math.min(most, cap - live) then
      found[#found + 1], found[#found + 2] = whole[i - 1], whole[i]
    end
  end
  return #scores, live, found, scores
end

-- Returns when a queue must be visited next, after the first `got` of its due items were leased.
local function next_visit(queue, live, got, own, scores)
  local held, waiting = got > 0 and tonumber(token) or -math.huge, math.huge
  if scores then
    for i, score in ipairs(scores) do
      if i <= live or i > live + got then
        if score < 0 then held = math.max(held, score) else waiting = math.min(waiting, score) end
      end
    end
  else
    held = tonumber(redis.call('ZREVRANGEBYSCORE', queue, '(0', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]) or held
    waiting = tonumber(redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]) or waiting
  end
  return math.min(-held, own > got and waiting or math.huge)
end

local put_off, probes = {}, {}
local out, wakes, gone, full, free = {token, tostring(now), put_off, probes}, {}, {}, {}, {}
for l = 1, #KEYS - queues do
  if left <= 0 then break end
  local queue, lane, o = KEYS[queues + l], names[l], tonumber(ARGV[head + l])
  local place = o > 0 and (opened[o] or open(o))
  local closed = tonumber(ramped[l])
  if closed and closed + ramp_ms <= now then
    redis.call('ZREM', KEYS[9], lane)
    redis.call('ZREM', KEYS[10], lane)
    half_open[l], closed = false, nil
  end
  local probing = place and half_open[l] and not closed
  local p = place and (place.strict and 2 or slow[l] and 3 or good[l] and not probing and 1 or 2)
  local risky = place and (place.strict or p ~= 1)
  local cap = place and place.limits[p].lane or -o
  if closed then cap = math.min(cap, 1 + math.floor(10 * (now - closed) / ramp_ms)) end
  local blocked = gated and tonumber(redis.call('HGET', KEYS[2], lane) or 0) or 0
  if blocked > 0 and blocked <= now then redis.call('HDEL', KEYS[2], lane) end
  if risky and risks <= 0 then
    place.snoozed = true
    put_off[#put_off + 1] = l
    wakes[#wakes + 1], wakes[#wakes + 2] = now + SNOOZE, lane
  else
    local most = blocked > now and 0 or closed and left or math.min(left, page)
    local size, live, found, scores = read(queue, most, cap)
    local own, got = cap - live, 0
    local score = place and place.waiting > 0 and redis.call('ZSCORE', place.turns, lane)
    if found[1] then
      local due = #found / 2
      if not place then
        got = due
      elseif place.waiting == 0 then
        got = math.max(0, math.min(due, room(place, p)))
      elseif room(place, p) > 0 then
        score = join(place, p, lane, score)
        local before = redis.call('ZRANK', place.turns, lane)
          - redis.call('ZCOUNT', place.turns, '-inf', '(' .. string.format('%d', p * POOL))
        if before < room(place, p) then
          got = math.min(due, math.max(1, math.floor(room(place, p) / place.waiting)))
          local tag = score - p * POOL
          if tag > tonumber(redis.call('HGET', place.tags, p .. '|') or 0) then
            redis.call('HSET', place.tags, p .. '|', tag)
          end
          leave(place, lane)
          score = false
        end
      end
    end
    if got > 0 then
      local leased, flights = {}, place and place.flights or {}
      for i = 1, 2 * got, 2 do
        leased[i], leased[i + 1] = token, found[i]
        flights[#flights + 1], flights[#flights + 2] = slot_ends[p], token .. found[i]
      end
      redis.call('ZADD', queue, unpack(leased))
      left = left - got
      if place then
        place.total[p] = place.total[p] + got
        place.ends[p] = math.min(place.ends[p] or now + lease, now + lease)
        local young_ms = place.limits[p].young_ms
        if young_ms > 0 then
          place.young[p] = place.young[p] + got
          place.ages[p] = math.min(place.ages[p] or now + young_ms, now + young_ms)
        end
        if risky then risks = risks - got end
        place.rate = place.rate + got * place.limits[p].interval
      end
      out[#out + 1] = tostring((risky and -l or l) - (place and not proven[o] and 0.5 or 0))
      out[#out + 1] = size
      out[#out + 1] = {unpack(found, 1, 2 * got)}
      if probing then probes[#probes + 1] = l end
      if closed then
        blocked = now + step_ms
        redis.call('HSET', KEYS[2], lane, blocked)
      end
    end
    if own <= got then
      full[#full + 1] = lane
    elseif crowded then
      free[#free + 1] = lane
    end
    local wake = next_visit(queue, live, got, own, scores)
    local hungry = place and blocked <= now and own > got and wake <= now
    if hungry and (place.waiting > 0 or room(place, p) <= 0) then
      score = join(place, p, lane, score)
      wakes[#wakes + 1], wakes[#wakes + 2] = now + REVISIT + score % 60 * 1000, lane
    else
      if score then leave(place, lane) end
      if wake < math.huge then
        wakes[#wakes + 1], wakes[#wakes + 2] = math.floor(math.max(wake, now, blocked)), lane
      else
        gone[#gone + 1] = lane
      end
    end
  end
end
if wakes[1] then redis.call('ZADD', KEYS[1], unpack(wakes)) end
if gone[1] then redis.call('ZREM', KEYS[1], unpack(gone)) end
if free[1] then redis.call('SREM', KEYS[4], unpack(free)) end
if full[1] then redis.call('SADD', KEYS[4], unpack(full)) end

for _, place in pairs(opened) do
  if place.flights[1] then
    if place.rate > now then
      place.flights[#place.flights + 1], place.flights[#place.flights + 2] = place.rate, 'rate'
    end
    redis.call('ZADD', place.fly, unpack(place.flights))
    redis.call('PEXPIRE', place.fly, lease + 60000)  -- where nobody comes again; workers' leases may differ
  end
  if place.waiting > 0 then
    local next = {}
    for p = 1, 3 do
      local many, wake = room(place, p), now
      if place.strict and p ~= 2 then
        many = MOVED  -- tagged while the origin was in better standing: their visit moves them
      elseif many <= 0 then
        local limit = place.limits[p]
        if place.total[p] >= limit.total then wake = math.max(wake, math.ceil(place.ends[p])) end
        if place.young[p] >= limit.young then wake = math.max(wake, math.ceil(place.ages[p])) end
        if limit.interval > 0 then
          wake = math.max(wake, math.ceil(place.rate - (limit.burst - 1) * limit.interval))
        end
      end
      if place.snoozed then wake = math.max(wake, now + SNOOZE) end
      local first = redis.call('ZRANGEBYSCORE', place.turns, string.format('%d', p * POOL),
        '(' .. string.format('%d', (p + 1) * POOL), 'LIMIT', 0, math.max(many, 1))
      for _, lane in ipairs(first) do
        next[#next + 1], next[#next + 2] = wake, lane
      end
    end
    local head, soonest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2], math.huge
    for i = 1, #next, 2 do soonest = math.min(soonest, next[i]) end
    redis.call('ZADD', KEYS[1], 'LT', unpack(next))
    if not head or soonest < tonumber(head) then redis.pcall('PUBLISH', KEYS[1], '') end
  elseif place.waited then
    redis.call('DEL', place.tags)
  end
end
return out

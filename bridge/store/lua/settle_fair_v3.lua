#!lua flags=allow-oom
-- Ends the leases of deliveries, notes how their URLs and origins fared, and wakes the lanes whose turn it is.
-- KEYS     lanes, gate, nudge, full, good, slow, proven, down, opened, ramps, streaks; per origin: fly, turns, tags; then the
--          queue of each lane, as in claim_fair_v3; then of each item its records, and parked, failing, receivers if it is listed anew
-- ARGV     ms between attempts at a paced origin, failures after which an origin is down; of breakers: failures in a row that
--          open them, ms within which one failure counts, first and longest sleep in ms, a random number from 0 to 1; number of origins, then their names;
--          number of lanes, then per lane: number of its origin (0: none), number of items, then per item: member,
--          token, delay ms ('' leaves the queue), outcome, trouble ('': as before; else p, f or -, created ms, a space,
--          origin; see commit_v4), number of its records, then each of them
-- Returns  the members whose lease is another's by now: nothing of theirs was written but the outcome
-- Why      Leases are ended, and messages sent, as in settle_v2. The slot at the origin is given back by the token, also by who is fenced:
--          a commit that took the item off its lane left it in `fly`.
--          Outcomes: g 2xx, r another answer that came soon, b broken before an answer, s none in time, c no connection,
--          n no connection where no other host is reached either, '' no attempt. c and n are the origin's, whose URLs may
--          be well; the others are the URL's. A probe's outcome is in upper case. Marks are written only where they change
--          something, or once in a while: the append-only file has each write.
--          A lane's breaker opens after failures in a row, c among them, n not: the lane is in `opened` since then and sleeps
--          by its gate; of failures that come soon after one another one counts, but for those of a ramp. From then on only a probe decides (see claim_fair_v3): a failure lets the lane sleep for as long as
--          it has been open, so that sleeps double; a 2xx puts it into `ramps`. What fails in a row during a ramp opens it
--          again as if it had never closed. A probe that was its delivery's last attempt makes way for the next one after
--          the first sleep, so that a URL that is gone does not hold what waits for ever.
--          Who reaches a down origin shows that it is back: the open lanes of that origin are tried at once.
--          A lane whose last item has left is forgotten at once: else it would be visited in vain when the lease ends. One with
--          a gate is left to that visit, which opens the gate.
--          The pace of an origin that never answered (see claim_fair_v3) is for attempts without an answer: what was
--          answered soon, or not sent at all, is given back.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local POOL, AGAIN_MS, PROVEN_MS = 1e12, 600000, 3600000
local nudged = redis.call('HLEN', KEYS[3]) > 0
local gated = redis.call('HLEN', KEYS[2]) > 0
local crowded = redis.call('SCARD', KEYS[4]) > 0
local slowed = redis.call('ZCARD', KEYS[6]) > 0
local downs = redis.call('ZCARD', KEYS[8]) > 0
local opens = redis.call('ZCARD', KEYS[9]) > 0
local streaks = redis.call('ZCARD', KEYS[11]) > 0
local down_after, opens_after = tonumber(ARGV[2]), tonumber(ARGV[3])
local apart_ms, first_ms, longest_ms, roll = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local origins = tonumber(ARGV[8])
local lanes = tonumber(ARGV[origins + 9])
local places = {}
for o = 1, origins do
  places[o] = {name = ARGV[8 + o], fly = KEYS[9 + 3 * o], turns = KEYS[10 + 3 * o], ended = {}, failed = 0, unpaced = 0}
end
local queues = 11 + 3 * origins
local names, prefix = {}, lanes > 0 and select(2, string.find(KEYS[queues + 1], ':q:', 1, true)) or 0
for l = 1, lanes do names[l] = string.sub(KEYS[queues + l], prefix + 1) end

-- Of all lanes, or origins, in one call each; none where nothing has such a mark.
local function ask(command, key, of, any)
  return any and of[1] and redis.call(command, key, unpack(of)) or {}
end
local good = ask('ZMSCORE', KEYS[5], names, true)
local is_full = ask('SMISMEMBER', KEYS[4], names, crowded)
local since_of = ask('ZMSCORE', KEYS[9], names, opens)
local streak_of = ask('ZMSCORE', KEYS[11], names, streaks)
local proven = ask('HMGET', KEYS[7], {unpack(ARGV, 9, 8 + origins)}, true)

local slept = {}
local function sleep(lane, for_ms)
  local spread = (roll + string.byte(lane, -1) * 0.618 + string.byte(lane, -2) * 0.272) % 1  -- lanes of one call differ
  local till = now + math.floor(for_ms * (1 + 0.2 * spread))
  redis.call('HSET', KEYS[2], lane, till)
  redis.call('ZREM', KEYS[10], lane)
  gated, slept[lane] = true, true
end

-- Takes what the attempts of a lane came to, in order: {outcome, whether it was a probe, whether its delivery goes on}.
local function judge(lane, since, score, ended)
  local open = since and not redis.call('ZSCORE', KEYS[10], lane)
  local before, last = score % 1000, math.floor(score / 1000) * 1000
  local row = before
  for _, each in ipairs(ended) do
    if open and each.probe and each.outcome == 'g' then
      redis.call('ZADD', KEYS[10], now, lane)
      open, row = false, 0
    elseif open and each.probe then
      row = row + 1
      sleep(lane, each.goes_on and math.max(first_ms, math.min(longest_ms, now - since)) or first_ms)
    elseif not open and each.outcome == 'g' then
      row = 0
    elseif not open and each.outcome ~= 'n' then
      if since or row == 0 or now - last >= apart_ms then row, last = row + 1, now end
      if row >= opens_after then
        open, since = true, since or now
        redis.call('ZADD', KEYS[9], since, lane)
        sleep(lane, math.max(first_ms, math.min(longest_ms, now - since)))
      end
    end
  end
  if row > 0 and row ~= before then
    redis.call('ZADD', KEYS[11], math.floor(now / 1000) * 1000 + math.min(row, 999), lane)
  elseif row == 0 and before > 0 then
    redis.call('ZREM', KEYS[11], lane)
  end
end

local a, record, fenced, wakes, left = origins + 10, queues + lanes, {}, {}, {}
local now_good, not_good, not_slow = {}, {}, {}
for l = 1, lanes do
  local lane, place, count, queue = names[l], places[tonumber(ARGV[a])], tonumber(ARGV[a + 1]), KEYS[queues + l]
  a = a + 2
  local members, waiting, leaving, wake, fared, ended = {}, {}, {}, math.huge, '', {}
  local at = a
  for i = 1, count do
    members[i] = ARGV[at]
    at = at + 6 + tonumber(ARGV[at + 5])
  end
  local scores = redis.call('ZMSCORE', queue, unpack(members))
  for i = 1, count do
    local member, token, delay, mark, records = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 4], tonumber(ARGV[a + 5])
    if place then
      local outcome = string.lower(ARGV[a + 3])
      place.ended[#place.ended + 1] = token .. member
      if outcome == '' or outcome == 'r' then place.unpaced = place.unpaced + 1 end
      if outcome == 'c' or outcome == 'n' then
        place.failed = place.failed + 1
      elseif outcome ~= '' then
        fared, place.reached = outcome, true
        place.proved = place.proved or fared == 'g'
      end
      if outcome ~= '' then
        ended[#ended + 1] = {outcome = outcome, probe = outcome ~= ARGV[a + 3], goes_on = delay ~= ''}
      end
    end
    if not scores[i] or tonumber(scores[i]) ~= tonumber(token) then
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
      local there = true
      for r = 1, records do
        there = redis.call('SET', KEYS[record + r], ARGV[a + 5 + r], 'XX', 'KEEPTTL') and there
      end
      if mark ~= '' and there then
        local trouble, created, origin = string.match(mark, '^(.)(%d+) (.*)$')
        local parked, failing, receivers = KEYS[record + records + 1], KEYS[record + records + 2], KEYS[record + records + 3]
        local listed = redis.call('ZREM', parked, member) + redis.call('ZREM', failing, member)
        if listed > 0 and tonumber(redis.call('ZINCRBY', receivers, -1, origin)) <= 0 then
          redis.call('ZREM', receivers, origin)
        end
        if trouble ~= '-' then
          redis.call('ZADD', trouble == 'p' and parked or failing, created, member)
          redis.call('ZINCRBY', receivers, 1, origin)
        end
      end
    end
    record = record + records + (mark ~= '' and 3 or 0)
    a = a + 6 + records
  end
  if waiting[1] then redis.call('ZADD', queue, unpack(waiting)) end
  if leaving[1] then redis.call('ZREM', queue, unpack(leaving)) end
  if ended[1] then judge(lane, tonumber(since_of[l]), tonumber(streak_of[l]) or 0, ended) end
  if fared == 'g' then
    if tonumber(good[l] or 0) < now - AGAIN_MS then
      now_good[#now_good + 1] = now
      now_good[#now_good + 1] = lane
    end
  elseif fared ~= '' and good[l] then
    not_good[#not_good + 1] = lane
  end
  if fared == 's' then
    redis.call('ZADD', KEYS[6], now, lane)
  elseif fared ~= '' and slowed then
    not_slow[#not_slow + 1] = lane
  end
  if is_full[l] == 1 and (waiting[1] or leaving[1]) then
    local first = redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then wake = math.min(wake, tonumber(first[2])) end
  end
  if wake < math.huge then
    local blocked = gated and tonumber(redis.call('HGET', KEYS[2], lane) or 0) or 0
    wakes[#wakes + 1] = math.max(wake, now, blocked)
    wakes[#wakes + 1] = lane
  elseif leaving[1] and not (gated and redis.call('HGET', KEYS[2], lane)) then
    left[#left + 1] = l
  end
end
if now_good[1] then redis.call('ZADD', KEYS[5], unpack(now_good)) end
if not_good[1] then redis.call('ZREM', KEYS[5], unpack(not_good)) end
if not_slow[1] then redis.call('ZREM', KEYS[6], unpack(not_slow)) end
local queues_left, emptied = {}, {}
for i, l in ipairs(left) do queues_left[i] = KEYS[queues + l] end
local all_gone = left[1] and redis.call('EXISTS', unpack(queues_left)) == 0
for _, l in ipairs(left) do
  if all_gone or redis.call('EXISTS', KEYS[queues + l]) == 0 then emptied[#emptied + 1] = names[l] end
end
if emptied[1] then
  redis.call('ZREM', KEYS[1], unpack(emptied))
  if crowded then redis.call('SREM', KEYS[4], unpack(emptied)) end
end
local back = {}
for o, place in ipairs(places) do
  if place.proved and tonumber(proven[o] or 0) < now - PROVEN_MS then
    redis.call('HSET', KEYS[7], place.name, now)
  end
  if place.reached then
    if downs then
      local failed = tonumber(redis.call('ZSCORE', KEYS[8], place.name) or 0)
      if failed % 1000 >= down_after then back[place.name] = true end
      redis.call('ZREM', KEYS[8], place.name)
    end
  elseif place.failed > 0 then
    local count = tonumber(redis.call('ZSCORE', KEYS[8], place.name) or 0) % 1000 + place.failed
    redis.call('ZADD', KEYS[8], math.floor(now / 1000) * 1000 + math.min(count, 999), place.name)
  end
  if place.unpaced > 0 and redis.call('ZSCORE', place.fly, 'rate') then
    redis.call('ZINCRBY', place.fly, -place.unpaced * tonumber(ARGV[1]), 'rate')
  end
  local freed = place.ended[1] and redis.call('ZREM', place.fly, unpack(place.ended)) or 0
  if redis.call('EXISTS', place.turns) == 1 then
    for p = 1, 3 do
      local first = redis.call('ZRANGEBYSCORE', place.turns, string.format('%d', p * POOL),
        '(' .. string.format('%d', (p + 1) * POOL), 'LIMIT', 0, math.max(freed, 1))
      for _, lane in ipairs(first) do
        wakes[#wakes + 1] = now
        wakes[#wakes + 1] = lane
      end
    end
  end
end
if next(back) and opens then
  for _, lane in ipairs(redis.call('ZRANGE', KEYS[9], 0, -1)) do
    if back[string.match(lane, '^%S+ (%S+)')] and not slept[lane] then
      redis.call('HDEL', KEYS[2], lane)
      wakes[#wakes + 1] = now
      wakes[#wakes + 1] = lane
    end
  end
end
if wakes[1] then
  local head, soonest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2], math.huge
  for i = 1, #wakes, 2 do soonest = math.min(soonest, wakes[i]) end
  redis.call('ZADD', KEYS[1], 'LT', unpack(wakes))
  if not head or soonest < tonumber(head) then redis.pcall('PUBLISH', KEYS[1], '') end
end
return fenced

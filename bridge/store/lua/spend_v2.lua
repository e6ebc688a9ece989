#!lua flags=allow-oom
-- Evaluates answers' rate headers and grants requests: one budget for all workers.
-- KEYS     state, own requests by time, own requests without an answer
-- ARGV     now ms ('': the server's), documented limit, documented window ms, share, ms after which an answer is lost,
--          most requests without an answer ('': a client asks, all or none, whatever the pace), ms until a job's turn,
--          number of reports, per report: number of requests whose answers it sums up, id of each ('': the client's
--          own), limit, remaining, reset ms, quiet until ms ('' where it does not say), requests saved by sharing
--          them, by showing many jobs; then the purpose of each wanted request, by priority
-- Returns  now ms, requests granted, id of the first, ms until more may be had, ms a request at this pace, limit,
--          remaining, window's end ms, own requests and the client's in this window; as text
-- Why      What is left of a window is limit - client's use - room kept for the client - own use. The room shrinks as
--          the window runs out, so that an idle client's part is used; it is kept again once the client sends requests.
--          Own requests of any trailing window stay under the limit as well, so that a sliding limit, or a window whose
--          borders are not known exactly, is not exceeded. The client's use is what `Remaining` fell by beyond the
--          bridge's requests. An unused limit begins with a larger burst, so that first jobs are read at once.
local MARGIN, FLOOR, ROOM, FADE, BURST, FIRST, FASTEST, CROWDED = 0.015, 0.25, 1.1, 0.7, 0.1, 2, 0.6, 100
local RENEWED = 900000  -- ms between two renewals of the keys' times to live
local SENT, OPEN = KEYS[2], KEYS[3]
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local share, lost, urgent = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == ''
local most_open = urgent and math.huge or tonumber(ARGV[6])
local raw, s, was = redis.call('HGETALL', KEYS[1]), {}, {}
for i = 1, #raw, 2 do
  local value = tonumber(raw[i + 1])
  s[raw[i]], was[raw[i]] = value, value
end
s.limit = s.limit or tonumber(ARGV[2])
s.window = s.window or tonumber(ARGV[3])
s.reset = s.reset or now + s.window
s.client, s.peak, s.seq = s.client or 0, s.peak or 0, s.seq or 0
s.quiet, s.known, s.sliding, s.fixed = s.quiet or 0, s.known or 0, s.sliding or 0, s.fixed or 0
local function slack() return math.min(1000, s.window / 20) end
local counted = {}  -- by time: answers of one call ask for the same ones, and nothing is added in between
local function ours(from)
  counted[from] = counted[from] or redis.call('ZCOUNT', SENT, from, '+inf')
  return counted[from]
end

-- A window that ended leaves behind how much the client used at most, fading. One that headers told ends a little
-- later: their moments are rounded, and clocks differ.
local function roll()
  if now < s.reset + (s.known == 1 and slack() or 0) then return end
  local passed = math.floor((now - s.reset) / s.window) + 1
  s.peak = math.max(s.client, s.peak * FADE) * FADE ^ (passed - 1)
  s.reset, s.client, s.remaining, s.heard = s.reset + passed * s.window, 0, nil, nil
end
roll()

-- The header's window against the one in mind: one that moves early slides; a length is learnt from two headers, since
-- any single one may be an edge's, or wrong.
local function learn(limit, remaining, reset)
  local ahead = reset - now
  if ahead > s.window + 1000 then
    if s.far and math.abs(reset - s.far) > slack() then s.window = math.min(ahead, s.far_ahead) end
    s.far, s.far_ahead = reset, ahead
  end
  local moved = s.header and reset - s.header or 0
  if s.header and moved > 0 then
    local used, wide = limit - remaining, ours(now - s.window - slack())
    local fresh = ours(s.header - slack())
    local early = now < s.header - 2000 and moved >= 500
    if early or (used >= 3 and used > fresh + (wide - fresh) / 2) then
      s.sliding, s.fixed = now + 10 * s.window, 0
    elseif wide - fresh >= 5 and used <= fresh + 1 then
      s.fixed = 1
    end
    if s.sliding > now then return end
    if moved < s.window and moved > 0.02 * s.window then
      s.window = math.max(moved, reset - now)
    end
  end
  if s.sliding > now then return end
  if reset > s.reset + slack() and reset > now and s.header and moved > 0 then
    s.peak = math.max(s.client, s.peak * FADE)
    s.client, s.remaining = 0, nil
  end
  s.reset = math.min(reset, now + s.window)
end

local a, answered = 8, {}
for _ = 1, tonumber(ARGV[8]) do
  local requests = tonumber(ARGV[a + 1])
  for n = a + 2, a + 1 + requests do
    if ARGV[n] ~= '' then answered[#answered + 1] = ARGV[n] end
  end
  a = a + 1 + requests
  local limit, remaining, reset, quiet =
    tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  s.shared, s.batched = (s.shared or 0) + ARGV[a + 5], (s.batched or 0) + ARGV[a + 6]
  a = a + 6
  limit = limit or s.limit
  if remaining and remaining > limit then limit = remaining end
  s.limit = limit
  if s.header and s.header > now + s.window + 1000 then s.header = nil end
  if reset and remaining and reset > now and reset >= (s.header or 0) - slack() then
    learn(limit, remaining, reset)
    s.header, s.known = math.max(reset, s.header or 0), 1
    local from = s.sliding > now and now - s.window or s.reset - s.window
    local others = math.max(0, limit - remaining - ours(from - slack()))
    if s.sliding > now then
      s.peak = math.max(s.peak * FADE ^ ((now - (s.heard or now)) / s.window), others)
      s.client = others
    else
      s.client = math.max(s.client, others)
    end
    s.remaining, s.heard = math.min(remaining, s.sliding > now and remaining or s.remaining or remaining), now
  end
  if quiet then
    s.quiet, s.limited = math.max(s.quiet, quiet), (s.limited or 0) + 1
    s.peak = math.max(s.peak, limit - ours(now - s.window))
  end
end

if answered[1] then redis.call('ZREM', OPEN, unpack(answered)) end
redis.call('ZREMRANGEBYSCORE', SENT, '-inf', now - 2 * s.window - 2000)
redis.call('ZREMRANGEBYSCORE', OPEN, '-inf', now - lost)
local asked, granted = #ARGV - a, 0
local margin = math.ceil(s.limit * MARGIN)
local open = redis.call('ZCARD', OPEN)
local guard = s.window + slack()
local left, used, span, melts
local trailing = ours(now - guard)
local idle = (1 - share) * s.limit
local least = math.max(1, s.limit * FLOOR)
if s.sliding > now then
  used, span = trailing, s.window
  left = math.max(s.limit - margin - math.max(s.client + idle / 2, s.peak * ROOM), least) - used
  melts = 0
  if s.remaining then left = math.min(left, s.remaining - open - margin) end
else
  used = ours(s.reset - s.window)
  span = math.max(s.reset - now, 1)
  local rest = math.min(1, span / s.window)
  local expected = math.max(s.peak, s.client / math.max(1 - rest, 0.25)) * ROOM
  local due = expected * rest
  local kept = s.known == 1 and math.max(idle * rest, due + 2 * math.sqrt(due)) or idle
  melts = s.known == 1 and kept / span or 0
  -- What is left by the header counts too: it knows of requests that we put down to the window before.
  local told = s.remaining and s.remaining - open or math.huge
  left = math.min(s.limit - margin - s.client - used, told) - kept
  left = math.max(left, math.min(least - used, told - (expected > 0 and 1 or 0)))
end
local fastest = s.window / s.limit * (s.fixed == 1 and FASTEST or 1)
local function pace_of(n) return math.max(span / math.max(n + (s.sliding > now and used or 0), 1), fastest) end
local pace = pace_of(left)
local loose = s.fixed == 1 and s.limit or math.max(1, s.limit - 1) - trailing
local burst = math.max(1, s.limit * BURST)
s.credit = s.credit or FIRST * burst
s.credit = math.max(s.credit, math.min(burst, s.credit + (now - (s.spent_at or now)) / pace))
s.spent_at = now
if urgent then
  local rest = s.sliding > now and s.limit - trailing or s.limit - s.client - used
  if s.remaining then rest = math.min(rest, s.remaining - open) end
  granted = s.quiet <= now and asked <= math.min(rest, loose) and asked or 0
elseif s.quiet <= now then
  granted = math.floor(math.max(0, math.min(asked, left, loose, s.credit, most_open - open)))
  s.credit = s.credit - granted
  if s.sliding <= now then pace = pace_of(left - granted) end
end

local wait = 0
if s.quiet > now then
  wait = s.quiet - now
elseif urgent then
  wait = granted < asked and math.max(1, s.reset - now) or 0
elseif granted < asked then
  wait = math.max(1 - s.credit, 0) * pace
  local missing = granted + 1 - left
  if missing > 0 then
    local melted = melts > 0 and missing / melts or s.window
    wait = math.max(wait, s.sliding > now and pace or math.min(melted, s.reset - now))
  end
  if granted + 1 > loose then
    local oldest = redis.call('ZRANGEBYSCORE', SENT, now - guard, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    wait = math.max(wait, oldest[2] and oldest[2] + guard - now or 0)
  end
  if granted + 1 > most_open - open then wait = math.max(wait, CROWDED) end
  wait = math.max(wait, 1)
end
local first, sent = s.seq + 1, {}
for n = 1, granted do
  local purpose = 'spent:' .. ARGV[a + n]
  sent[2 * n - 1], sent[2 * n] = now, string.format('%.0f', s.seq + n)
  s[purpose] = (s[purpose] or 0) + 1
end
if granted > 0 then
  redis.call('ZADD', SENT, unpack(sent))
  redis.call('ZADD', OPEN, unpack(sent))
end
s.seq, s.pace = s.seq + granted, pace
if ARGV[7] ~= '' then s.turn = tonumber(ARGV[7]) end
-- Times to live are renewed now and then; a key that is new, or was empty, has none yet.
local renews = now >= (s.renewed or 0) + RENEWED or s.window ~= was.window
if renews then s.renewed = now end
local flat = {}
for name, value in pairs(s) do
  if value ~= was[name] then
    flat[#flat + 1] = name
    flat[#flat + 1] = string.format('%.3f', value)
  end
end
if flat[1] then redis.call('HSET', KEYS[1], unpack(flat)) end
if was.remaining and not s.remaining then redis.call('HDEL', KEYS[1], 'remaining', 'heard') end
local life = string.format('%.0f', math.max(2 * s.window + lost, 3600000) + RENEWED)
if renews then redis.call('PEXPIRE', KEYS[1], 30 * 86400000) end
if renews or (granted > 0 and trailing == 0) then redis.call('PEXPIRE', SENT, life) end
if renews or (granted > 0 and open == 0) then redis.call('PEXPIRE', OPEN, life) end
local out = {now, granted, first, math.ceil(wait), pace, s.limit, s.remaining or -1, s.reset, used + granted, s.client}
for i = 1, #out do out[i] = string.format('%.0f', out[i]) end
return out

#!lua flags=allow-oom
-- Counts requests that clients send through the bridge as the client's use of an account's budget.
-- KEYS     state of the budget, see spend_v2
-- ARGV     now ms ('': the server's), documented window ms, number of requests
-- Returns  the client's requests in this window, as text
-- Why      spend_v2 learns of them from the answer's headers; until then, and where an answer has none, they count from
--          here. It takes the larger of both numbers, so that none counts twice.
local FADE = 0.7
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local raw, s = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #raw, 2 do s[raw[i]] = tonumber(raw[i + 1]) end
local window = s.window or tonumber(ARGV[2])
local reset, client, peak = s.reset or now + window, s.client or 0, s.peak or 0
-- A window that has ended is left as spend_v2 leaves it.
if now >= reset + (s.known == 1 and math.min(1000, window / 20) or 0) then
  local passed = math.floor((now - reset) / window) + 1
  peak = math.max(client, peak * FADE) * FADE ^ (passed - 1)
  reset, client, s.remaining = reset + passed * window, 0, nil
  redis.call('HDEL', KEYS[1], 'remaining', 'heard')
end
client = client + ARGV[3]
local function text(value) return string.format('%.3f', value) end
redis.call('HSET', KEYS[1], 'reset', text(reset), 'client', text(client), 'peak', text(peak))
if s.remaining then redis.call('HSET', KEYS[1], 'remaining', text(math.max(0, s.remaining - ARGV[3]))) end
redis.call('PEXPIRE', KEYS[1], 30 * 86400000)
return string.format('%.0f', client)

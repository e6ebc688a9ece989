#!lua flags=allow-oom
-- Blocks a whole lane (429, breaker); if it is blocked for longer already, that stays.
-- KEYS     lanes, gate
-- ARGV     lane, for ms
-- Returns  the ms until which the lane is blocked, as text
-- Why      The gate exists apart from the lane's entry in `lanes`, so that items added meanwhile are blocked too.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local blocked = math.max(now + tonumber(ARGV[2]), tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0))
redis.call('HSET', KEYS[2], ARGV[1], blocked)
redis.call('ZADD', KEYS[1], 'XX', 'GT', blocked, ARGV[1])
return tostring(blocked)

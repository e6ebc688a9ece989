#!lua flags=allow-oom
-- Lets attempts begin at an origin that has never answered 2xx, over all shards.
-- KEYS     permits, proven; both of the origin
-- ARGV     lease ms, most at once, burst, interval ms, then the attempts: token and member
-- Returns  how many of them may begin, the first ones, as text; 'proven': all, since the origin has answered 2xx
-- Why      A shard's own count (claim_fair_v3) knows nothing of the other shards. The pace is kept as there.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('EXISTS', KEYS[2]) == 1 then return 'proven' end
local lease, most, burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local rate = tonumber(redis.call('ZSCORE', KEYS[1], 'rate') or now)
local taken = redis.call('ZCARD', KEYS[1]) - (rate > now and 1 or 0)
local free = math.max(0, math.min(#ARGV - 4, most - taken, math.floor(burst - (rate - now) / interval)))
for i = 5, 4 + free do redis.call('ZADD', KEYS[1], now + lease, ARGV[i]) end
if free > 0 then
  redis.call('ZADD', KEYS[1], rate + free * interval, 'rate')
  redis.call('PEXPIRE', KEYS[1], lease + 60000)
end
return tostring(free)

#!lua flags=allow-oom
-- Grants deliveries to an endpoint with a rate limit, by the generic cell rate algorithm.
-- KEYS     the time at which the endpoint's next delivery would come if all came evenly
-- ARGV     ms between two deliveries, ms that may be used ahead (what may go at once), number wanted
-- Returns  number granted, ms until another one is
-- Why      All workers and shards share one limit. Time is the server's. The key ends by itself soon after it says nothing.
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local interval, ahead, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local granted = math.max(0, math.min(wanted, math.floor((now + ahead - at) / interval + 1e-6)))
at = at + granted * interval
if granted > 0 then
  redis.call('SET', KEYS[1], string.format('%.3f', at), 'PX', math.ceil(at - now) + 60000)
end
return {granted, math.max(1, math.ceil(at + interval - ahead - now))}

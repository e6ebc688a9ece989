#!lua flags=allow-oom
-- Notes that the first attempt of a delivery to an endpoint has failed, or that the endpoint is warned of.
-- KEYS     what is known of the endpoint's trouble
-- ARGV     now ms, day (a number that differs from day to day), '1' to note the warning instead, ms to keep it unchanged
-- Returns  ms of the first failure, failures, days with failures, ms of the warning; with the warning: '1' for the first caller
-- Why      Several workers count together, and one of them is to tell of it.
if ARGV[3] == '1' then return tostring(redis.call('HSETNX', KEYS[1], 'warned', ARGV[1])) end
redis.call('HSETNX', KEYS[1], 'since', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'failed', 1)
if redis.call('HGET', KEYS[1], 'day') ~= ARGV[2] then
  redis.call('HSET', KEYS[1], 'day', ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'days', 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return redis.call('HMGET', KEYS[1], 'since', 'failed', 'days', 'warned')

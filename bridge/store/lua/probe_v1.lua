#!lua flags=allow-oom
-- Lets one caller per interval do something: try a refused account again, or run a task that only one worker runs.
-- KEYS     an account's health, or a tick
-- ARGV     now ms, interval ms
-- Returns  '1' for the caller that may, '0' for all others
-- Why      A refused API key is tried with one poll, not with one for each of its thousand jobs.
local last = tonumber(redis.call('HGET', KEYS[1], 'probed_ms') or 0)
if tonumber(ARGV[1]) - last < tonumber(ARGV[2]) then return '0' end
redis.call('HSET', KEYS[1], 'probed_ms', ARGV[1])
return '1'

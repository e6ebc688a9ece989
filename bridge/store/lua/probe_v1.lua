#!lua flags=allow-oom
-- Takes a right that is given once an interval: to try an account in trouble again, to do what one of a fleet does.
-- KEYS     account's health, or a tick
-- ARGV     now ms, interval ms
-- Returns  '1' for the one who may, '0' for all others
-- Why      A revoked key is tried by one read, not by each of its thousand jobs.
local last = tonumber(redis.call('HGET', KEYS[1], 'probed_ms') or 0)
if tonumber(ARGV[1]) - last < tonumber(ARGV[2]) then return '0' end
redis.call('HSET', KEYS[1], 'probed_ms', ARGV[1])
return '1'

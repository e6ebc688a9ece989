#!lua flags=allow-oom
-- Adds the newest entry to an inbox and drops the oldest beyond its capacity.
-- KEYS     inbox
-- ARGV     entry, capacity
-- Returns  'done'
-- Why      A command that is sent again after a broken connection must not add its entry twice. With allow-oom:
--          deliveries go on while the store is full, and an inbox cannot grow beyond its capacity.
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)
return 'done'

#!lua flags=allow-oom
-- Records a worker's heartbeat, and removes workers that have been silent for long.
-- KEYS     workers
-- ARGV     worker, now ms, ms before which a heartbeat is removed
-- Returns  'done'
-- Why      Plain commands would do, but only a script may carry allow-oom: workers must be able to start while the
--          store is full.
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
return 'done'

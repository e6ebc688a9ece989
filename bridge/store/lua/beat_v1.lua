#!lua flags=allow-oom
-- Notes that a worker lives, and forgets those that have been silent for long.
-- KEYS     workers
-- ARGV     worker, now ms, ms before which a beat is forgotten
-- Returns  'done'
-- Why      A script only for its allow-oom: a full store still has workers, and they must be able to start.
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
return 'done'

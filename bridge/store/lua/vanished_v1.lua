#!lua flags=allow-oom
-- Records that a job which had been seen is not found now.
-- KEYS     the account's missing jobs
-- ARGV     job key, now ms, window ms
-- Returns  how many distinct jobs of the account vanished in the window, as text
-- Why      Many at once are an outage of the upstream, not as many deletions.
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2] - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return tostring(redis.call('ZCARD', KEYS[1]))

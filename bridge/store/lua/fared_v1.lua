#!lua flags=allow-oom
-- Notes how an attempt at a destination ended.
-- KEYS     proven, failures in a row
-- ARGV     lane, origin, ms of a 2xx ('': it failed)
-- Returns  the destination's failures in a row, as text
-- Why      A script only for its allow-oom: delivering goes on while the store is full.
if ARGV[3] == '' then return tostring(redis.call('HINCRBY', KEYS[2], ARGV[1], 1)) end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[1])
return '0'

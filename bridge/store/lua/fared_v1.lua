#!lua flags=allow-oom
-- Records whether a delivery attempt succeeded.
-- KEYS     origins that have answered 2xx, failures in a row by destination
-- ARGV     the destination's lane, its origin, ms of the 2xx ('': the attempt failed)
-- Returns  the destination's failures in a row, as text
-- Why      Plain commands would do, but only a script may carry allow-oom: deliveries go on while the store is full.
if ARGV[3] == '' then return tostring(redis.call('HINCRBY', KEYS[2], ARGV[1], 1)) end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[1])
return '0'

#!lua flags=allow-oom
-- Writes, so that WAITAOF on this connection has something to wait for.
-- KEYS     what is written
-- ARGV     none
-- Returns  'done'
-- Why      WAITAOF waits for the connection's own last write. A change that was made before, over a connection that
--          broke, writes nothing when it is repeated, and the wait would end at once while the disk still has nothing.
redis.call('SET', KEYS[1], '')
return 'done'

#!lua flags=allow-oom
-- Writes an empty value, so that WAITAOF on this connection has a write to wait for.
-- KEYS     the key to write
-- ARGV     none
-- Returns  'done'
-- Why      WAITAOF waits for the last write of its own connection. A change that was made over a connection that
--          broke writes nothing when it is repeated, so the wait would end at once although nothing is on disk yet.
redis.call('SET', KEYS[1], '')
return 'done'

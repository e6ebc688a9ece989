#!lua flags=allow-oom
-- Puts an entry on top of an inbox.
-- KEYS     inbox
-- ARGV     entry, most entries
-- Returns  'done'
-- Why      A client may send a cut-off command twice: the same entry is there once. Delivering goes on while the store
--          is full, and the inbox has a length of its own.
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)
return 'done'

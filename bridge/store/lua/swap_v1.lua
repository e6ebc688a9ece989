#!lua
-- Writes a record in a table, if it has not changed since it was loaded.
-- KEYS     table
-- ARGV     field, value expected ('': absent), value to write
-- Returns  'done' or 'conflict'
-- Why      Of two edits at the same time neither may overwrite the other. A command that is sent again after a broken
--          connection finds its own value and answers 'done'.
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 'done' end
if found ~= ARGV[2] then return 'conflict' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'done'

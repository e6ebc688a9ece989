#!lua
-- Writes a field of a table of records, if it still reads as when it was loaded.
-- KEYS     table
-- ARGV     field, value expected ('': absent), value to write
-- Returns  'done' or 'conflict'
-- Why      Two rotations or edits at once must not lose one another. A repeat of the same change says 'done'.
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 'done' end
if found ~= ARGV[2] then return 'conflict' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'done'

#!lua
-- Creates or changes a task, if its record has not changed since it was loaded.
-- KEYS     record, input, the project's tasks, those that have not ended
-- ARGV     id, value expected ('': absent), value to write, created ms, '1' if it has ended, ms to keep an ended one,
--          '1': only the first one of those that have not ended, unended tasks at most, tasks kept at most
-- Returns  'done', 'conflict', 'waiting': another one comes first, 'many': too many have not ended
-- Why      Whoever works on a task writes each step under this condition, so that of two processes one is refused. The order
--          is that of creation here, whatever the clocks of the creators say, so that a running task stays the first.
--          A command that is sent again after a broken connection finds its own value and answers 'done'.
local found = redis.call('GET', KEYS[1]) or ''
if found == ARGV[3] then return 'done' end
if found ~= ARGV[2] then return 'conflict' end
if ARGV[7] == '1' and redis.call('ZRANGE', KEYS[4], 0, 0)[1] ~= ARGV[1] then return 'waiting' end
if found == '' then
  if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[8]) then return 'many' end
  local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
  local place = string.format('%.0f', math.max(tonumber(ARGV[4]), tonumber(last or 0) + 1))
  redis.call('ZADD', KEYS[3], place, ARGV[1])
  redis.call('ZADD', KEYS[4], place, ARGV[1])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -tonumber(ARGV[9]) - 1)
end
if ARGV[5] == '1' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[6])
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[1], ARGV[3])
end
return 'done'

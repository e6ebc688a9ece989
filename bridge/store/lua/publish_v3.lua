#!lua flags=allow-oom
-- Appends events to a project's feed in the order of the arguments; one that has a position already keeps it.
-- KEYS     feed, the last position given, marks
-- ARGV     channel of hints, project, the highest position that the caller has seen, event ids
-- Returns  their positions, as text; negative for one that is given now
-- Why      Events are written in their account's shard, while the feed is the project's and may lie in another slot.
--          So publishing is a second step, which may be repeated after any crash: a position that a client has seen
--          never changes. A position is visible the moment it exists, so whoever has read up to one misses none below.
--          A failover may lose the last positions. They must not be given again, because readers are past them: where
--          the caller has seen more than the store knows of, the store goes on well behind that.
--          A mark says when a position was given, one in STEP positions: whoever wants events since a time skips what
--          had its position before. The time of an event itself would not do, as one that a crash held back comes late.
local JUMP, STEP, MOST_MARKS = 1000, 1000, 10000
local last, seen = tonumber(redis.call('GET', KEYS[2]) or 0), tonumber(ARGV[3])
local moved = last < seen
if moved then redis.call('SET', KEYS[2], string.format('%.0f', seen + JUMP)) end
local out = {}
for i = 4, #ARGV do
  local place = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if place then
    out[i - 3] = tostring(place)
  else
    place = redis.call('INCR', KEYS[2])
    redis.call('ZADD', KEYS[1], place, ARGV[i])
    out[i - 3] = '-' .. string.format('%.0f', place)
    moved = true
    if place % STEP == 0 then
      local time = redis.call('TIME')
      redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), string.format('%.0f', place))
      redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -MOST_MARKS - 1)
    end
  end
end
if moved then redis.pcall('PUBLISH', ARGV[1], ARGV[2]) end
return out

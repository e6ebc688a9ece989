#!lua flags=allow-oom
-- Appends events to a project's feed in the order of the arguments; one that has a position already keeps it.
-- KEYS     feed, the last position given
-- ARGV     channel of hints, project, the highest position that the caller has seen, event ids
-- Returns  their positions, as text; negative for one that is given now
-- Why      Events are written in their account's shard, while the feed is the project's and may lie in another slot.
--          So publishing is a second step, which may be repeated after any crash: a position that a client has seen
--          never changes. A position is visible the moment it exists, so whoever has read up to one misses none below.
--          A failover may lose the last positions. They must not be given again, because readers are past them: where
--          the caller has seen more than the store knows of, the store goes on well behind that.
local JUMP = 1000
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
  end
end
if moved then redis.pcall('PUBLISH', ARGV[1], ARGV[2]) end
return out

#!lua flags=allow-oom
-- Appends events to a project's feed in the order of the arguments; one that has a position already keeps it.
-- KEYS     feed, the last position given
-- ARGV     event ids
-- Returns  their positions, as text
-- Why      Events are written in their account's shard, while the feed is the project's and may lie in another slot.
--          So publishing is a second step, which may be repeated after any crash: a position that a client has seen
--          never changes.
local out = {}
for i = 1, #ARGV do
  local place = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not place then
    place = redis.call('INCR', KEYS[2])
    redis.call('ZADD', KEYS[1], place, ARGV[i])
  end
  out[i] = tostring(place)
end
return out

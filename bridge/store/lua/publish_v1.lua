#!lua flags=allow-oom
-- Gives events their positions in a project's feed, each once and for ever, in the order of the arguments.
-- KEYS     feed, position
-- ARGV     event ids
-- Returns  their positions, as text
-- Why      Events are made in their account's shard, the feed is the project's: this second step may be repeated after
--          any crash, and a position that a client has seen never changes.
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

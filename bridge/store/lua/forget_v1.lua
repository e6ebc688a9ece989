#!lua flags=allow-oom
-- Removes events from a project's feed, and remembers the highest position that was ever removed.
-- KEYS     feed, the highest position removed
-- ARGV     event ids
-- Returns  how many were in the feed
-- Why      A reader that comes back with a cursor below that position may have missed something, and is told so.
local count, highest = 0, tonumber(redis.call('GET', KEYS[2]) or 0)
for i = 1, #ARGV do
  local place = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if place then
    redis.call('ZREM', KEYS[1], ARGV[i])
    count, highest = count + 1, math.max(highest, tonumber(place))
  end
end
if count > 0 then redis.call('SET', KEYS[2], string.format('%.0f', highest)) end
return count

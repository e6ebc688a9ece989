#!lua flags=allow-oom
-- Raises the epoch of a project's endpoints: a shard's copy, or that of the table itself.
-- KEYS     the copy, or the table
-- ARGV     epoch, field of the table ('': the key is a copy)
-- Returns  the epoch afterwards, which is never lower than before
-- Why      Changes of one table reach a shard in any order. A commit is refused while table and copy differ, so either must
--          be brought level even at the memory limit.
local known
if ARGV[2] == '' then
  known = redis.call('GET', KEYS[1])
else
  known = redis.call('HGET', KEYS[1], ARGV[2])
end
local epoch = math.max(tonumber(ARGV[1]), tonumber(known or 0))
if ARGV[2] == '' then
  redis.call('SET', KEYS[1], epoch)
else
  redis.call('HSET', KEYS[1], ARGV[2], epoch)
end
return epoch

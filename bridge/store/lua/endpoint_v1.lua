#!lua
-- Writes or removes one endpoint, if it has not changed since it was loaded, and begins a new epoch of its table.
-- KEYS     the project's endpoints
-- ARGV     id, value expected ('': absent), value to write ('': remove), endpoints at most
-- Returns  the table's epoch afterwards; -1: the endpoint has changed; -2: there are too many
-- Why      Row and epoch change together, so that whoever knows the epoch knows the rows. A command that is sent again after
--          a broken connection finds its own value and answers with the epoch as it is.
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0)
if found == ARGV[3] then return epoch end
if found ~= ARGV[2] then return -1 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  local count = redis.call('HLEN', KEYS[1]) - (epoch > 0 and 1 or 0)
  if found == '' and count >= tonumber(ARGV[4]) then return -2 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return redis.call('HINCRBY', KEYS[1], 'epoch', 1)

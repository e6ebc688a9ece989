#!lua flags=allow-oom
-- Adds the newest entry to an inbox and drops the oldest beyond its capacity and its bytes; the newest one always stays.
-- KEYS     inbox
-- ARGV     entry, capacity, bytes
-- Returns  'done'
-- Why      A command that is sent again after a broken connection must not add its entry twice. With allow-oom:
--          deliveries go on while the store is full, and an inbox cannot grow beyond its capacity. All entries are read
--          to be measured, which the bound on their bytes keeps cheap.
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call('LPUSH', KEYS[1], ARGV[1])
local kept, bytes = 0, 0
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1)) do
  bytes = bytes + #entry
  if kept > 0 and bytes > tonumber(ARGV[3]) then break end
  kept = kept + 1
end
redis.call('LTRIM', KEYS[1], 0, kept - 1)
return 'done'

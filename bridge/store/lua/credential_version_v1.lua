#!lua flags=allow-oom
-- Notes which version of an account's credential is valid.
-- KEYS     account health
-- ARGV     version
-- Returns  'done'
-- Why      A full store takes it too, or workers would go on with a credential that was replaced. Of two replacements at
--          the same time the later one counts, whichever arrives first.
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or 0) or 0
if known < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'version', ARGV[1]) end
return 'done'

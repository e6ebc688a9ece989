#!lua flags=allow-oom
-- Takes back what take_permits_v1 gave, when attempts have ended.
-- KEYS     permits, proven; both of the origin
-- ARGV     interval ms, how many of the attempts do not count against the pace, '1' if one was answered 2xx, then the
--          attempts: token and member
-- Returns  how many attempts that were, as text
for i = 4, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
if tonumber(ARGV[2]) > 0 and redis.call('ZSCORE', KEYS[1], 'rate') then
  redis.call('ZINCRBY', KEYS[1], -ARGV[1] * ARGV[2], 'rate')
end
if ARGV[3] == '1' then redis.call('SET', KEYS[2], '1') end
return tostring(#ARGV - 3)

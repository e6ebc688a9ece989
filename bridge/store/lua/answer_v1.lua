#!lua
-- Keeps the answer of a request with an Idempotency-Key, and counts its bytes by the hour.
-- KEYS     request, counters
-- ARGV     value, ms to live, hour, bytes, oldest hour that counts, ms that the counters live
-- Returns  'done', or 'gone' if the request's claim has run out
-- Why      Answers expire by themselves, and nothing is called then: hours that are over are left out of the count, so
--          that it never falls behind. Without allow-oom: a full store keeps no answer.
if not redis.call('SET', KEYS[1], ARGV[1], 'XX', 'PX', ARGV[2]) then return 'gone' end
redis.call('HINCRBY', KEYS[2], ARGV[3], ARGV[4])
for _, hour in ipairs(redis.call('HKEYS', KEYS[2])) do
  if tonumber(hour) < tonumber(ARGV[5]) then redis.call('HDEL', KEYS[2], hour) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return 'done'

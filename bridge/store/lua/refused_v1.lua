#!lua flags=allow-oom
-- Notes that the upstream refused an account (or one kind of its reads): suspected first, then confirmed.
-- KEYS     account's health
-- ARGV     field of the suspicion, field of the confirmation, now ms, ms at which the refused read began,
--          field of the note, note ('' none)
-- Returns  'suspect' or 'confirmed'
-- Why      Only a read begun after the first refusal confirms it, not one that was in flight at the same time, nor this
--          command sent again. The time of the first confirmation stays: it identifies the outage.
local suspected = redis.call('HGET', KEYS[1], ARGV[1])
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return 'confirmed' end
if not suspected then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  return 'suspect'
end
if tonumber(ARGV[4]) <= tonumber(suspected) then return 'suspect' end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], ARGV[5], ARGV[6]) end
return 'confirmed'

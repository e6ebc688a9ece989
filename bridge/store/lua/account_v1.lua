#!lua
-- Writes an account and claims its credential, which no other account may have.
-- KEYS     accounts, credentials
-- ARGV     account id, record expected ('': absent), record to write, fingerprint, former fingerprint ('': none)
-- Returns  'done', 'conflict', or the id of the account that has this credential
-- Why      A credential in two projects would let one read the other's jobs and spend its budget.
local holder = redis.call('HGET', KEYS[2], ARGV[4])
if holder and holder ~= ARGV[1] then return holder end
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 'done' end
if found ~= ARGV[2] then return 'conflict' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] ~= '' and ARGV[5] ~= ARGV[4] and redis.call('HGET', KEYS[2], ARGV[5]) == ARGV[1] then
  redis.call('HDEL', KEYS[2], ARGV[5])
end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[1])
return 'done'

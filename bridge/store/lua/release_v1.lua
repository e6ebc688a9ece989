#!lua flags=allow-oom
-- Ends holds of callbacks some time from now, because their registrations have been answered.
-- KEYS     holds
-- ARGV     per hold: ms for which it stays
-- Returns  how many existed
-- Why      One answer for all of them costs the client less than one each.
local found = 0
for k = 1, #KEYS do
  found = found + redis.call('PEXPIRE', KEYS[k], ARGV[k])
end
return found

#!lua flags=allow-oom
-- Makes a change in one step, if the caller still has the lease and the guarded records are unchanged.
-- KEYS     [the leased item's queue,] the queue of each holding, the key of each guard, then the keys of each operation
--          in order
-- ARGV     'L' member token, or '-'; number of holdings, per holding: member, end of its lease in whole ms, negative (0: it
--          has no lease); number of guards, per guard: value ('': absent), place in ARGV of the value that this change puts
--          there (0: it leaves the key alone, -1: it deletes it); then operations:
--            P value px('': none)   key         put              D                key                  delete
--            R member score         key         rank             U member         key                  unrank
--            B number               key         add to a counter
--            T member created trouble origin former  parked failing receivers  list a delivery by its trouble, p, f or -
--            S|N|A|H lane member delay  queue lanes gate nudge   due: set, sooner, absent, first
--            X lane member            queue lanes gate nudge     drop
--            F number created         job's deliveries, project's, lanes, gate, then for each delivery its record, its
--                                     endpoint's deliveries, queue; ARGV goes on with each one's id, value, lane ('': it
--                                     is not scheduled): new deliveries of one event, due now
-- Returns  'done', 'fenced' or 'conflict'; the latter two wrote nothing
-- Why      The client sends a command again when its connection broke before the answer. So where the conditions fail only
--          because this same change is in place already, the answer is 'done'. A claim changes no record, so a change that
--          depends on whether an item is leased says so by a holding. The time of a lane's next visit is only
--          ever moved earlier, never before its gate or now. Where an item has left, the lane's first waiting item
--          counts too, as there may be room for it now. H is N where a person asked for it: the lane's gate is opened, and what
--          is due now comes before all that waits in the lane, or another item would be taken. An earlier visit of the queue is published as in settle_v2.
--          The same body runs without allow-oom for new work: at maxmemory Redis refuses such a script before it
--          starts, so that no registration is half written.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local a, k = 1, 0
if ARGV[1] == 'L' then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[2])
  if not score or tonumber(score) ~= tonumber(ARGV[3]) then return 'fenced' end
  a, k = 3, 1
end
local holdings, fresh, repeated = tonumber(ARGV[a + 1]), true, true
a = a + 1
for _ = 1, holdings do
  k = k + 1
  local score = tonumber(redis.call('ZSCORE', KEYS[k], ARGV[a + 1]) or 0)
  fresh = fresh and math.min(0, math.ceil(score)) == tonumber(ARGV[a + 2])
  a = a + 2
end
local guards = tonumber(ARGV[a + 1])
a = a + 1
for _ = 1, guards do
  k = k + 1
  local value, wanted, place = redis.call('GET', KEYS[k]) or '', ARGV[a + 1], tonumber(ARGV[a + 2])
  local left = place > 0 and ARGV[place] or place < 0 and '' or wanted
  fresh = fresh and value == wanted
  repeated = repeated and value == left
  a = a + 2
end
if not fresh then return repeated and 'done' or 'conflict' end

local touched, heads = {}, {}
while a < #ARGV do
  local op, key = ARGV[a + 1], KEYS[k + 1]
  if op == 'P' then
    if ARGV[a + 3] == '' then
      redis.call('SET', key, ARGV[a + 2])
    else
      redis.call('SET', key, ARGV[a + 2], 'PX', ARGV[a + 3])
    end
    a, k = a + 3, k + 1
  elseif op == 'D' then
    redis.call('DEL', key)
    a, k = a + 1, k + 1
  elseif op == 'R' then
    redis.call('ZADD', key, ARGV[a + 3], ARGV[a + 2])
    a, k = a + 3, k + 1
  elseif op == 'U' then
    redis.call('ZREM', key, ARGV[a + 2])
    a, k = a + 2, k + 1
  elseif op == 'B' then
    redis.call('INCRBY', key, ARGV[a + 2])
    a, k = a + 2, k + 1
  elseif op == 'T' then
    local member, trouble, receivers = ARGV[a + 2], ARGV[a + 4], KEYS[k + 3]
    local listed = redis.call('ZREM', key, member) + redis.call('ZREM', KEYS[k + 2], member)
    if listed > 0 and tonumber(redis.call('ZINCRBY', receivers, -1, ARGV[a + 6])) <= 0 then
      redis.call('ZREM', receivers, ARGV[a + 6])
    end
    if trouble ~= '-' then
      redis.call('ZADD', trouble == 'p' and key or KEYS[k + 2], ARGV[a + 3], member)
      redis.call('ZINCRBY', receivers, 1, ARGV[a + 5])
    end
    a, k = a + 6, k + 3
  elseif op == 'F' then
    local number, created = tonumber(ARGV[a + 2]), ARGV[a + 3]
    local job, project, lanes, gate = key, KEYS[k + 2], KEYS[k + 3], KEYS[k + 4]
    local values, ranks, due, wakes = {}, {}, {}, {}
    a, k = a + 3, k + 4
    for _ = 1, number do
      local id, lane = ARGV[a + 1], ARGV[a + 3]
      values[#values + 1], values[#values + 2] = KEYS[k + 1], ARGV[a + 2]
      ranks[#ranks + 1], ranks[#ranks + 2] = created, id
      redis.call('ZADD', KEYS[k + 2], created, id)
      if lane ~= '' then
        due[#due + 1] = lane
        redis.call('ZADD', KEYS[k + 3], now, id)
      end
      a, k = a + 3, k + 3
    end
    redis.call('MSET', unpack(values))
    redis.call('ZADD', job, unpack(ranks))
    redis.call('ZADD', project, unpack(ranks))
    if #due > 0 then
      local blocked, first = redis.call('HMGET', gate, unpack(due)), math.huge
      for place, lane in ipairs(due) do
        local wake = math.max(now, tonumber(blocked[place] or 0))
        first = math.min(first, wake)
        wakes[#wakes + 1], wakes[#wakes + 2] = wake, lane
      end
      heads[lanes] = heads[lanes] or tonumber(redis.call('ZRANGE', lanes, 0, 0, 'WITHSCORES')[2]) or math.huge
      redis.call('ZADD', lanes, 'LT', unpack(wakes))
      if first < heads[lanes] then
        heads[lanes] = first
        redis.pcall('PUBLISH', lanes, '')
      end
    end
  else
    local lane, member, nudge = ARGV[a + 2], ARGV[a + 3], KEYS[k + 4]
    local place = touched[key] or {lane = lane, lanes = KEYS[k + 2], gate = KEYS[k + 3], wake = math.huge}
    touched[key] = place
    if op == 'X' then
      place.freed = true
      redis.call('ZREM', key, member)
      redis.call('HDEL', nudge, member)
      a = a + 3
    else
      local due = now + tonumber(ARGV[a + 4])
      if op == 'S' then
        place.freed = true
        local sooner = redis.call('HGET', nudge, member)
        if sooner then
          redis.call('HDEL', nudge, member)
          due = math.min(due, tonumber(sooner))
        end
        redis.call('ZADD', key, due, member)
      else
        local score = tonumber(redis.call('ZSCORE', key, member) or 0)
        if op == 'H' then
          redis.call('HDEL', place.gate, lane)
          place.freed = true
          local head = due <= now and redis.call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
          if head and score >= 0 then due = math.max(1, math.min(due, tonumber(head) - 1)) end
        end
        if score < 0 then
          if op ~= 'A' then
            redis.call('HSET', nudge, member, math.min(due, tonumber(redis.call('HGET', nudge, member) or due)))
          end
          due = math.huge
        elseif score == 0 or (op ~= 'A' and due < score) then
          redis.call('ZADD', key, due, member)
        else
          due = math.huge
        end
      end
      place.wake = math.min(place.wake, due)
      a = a + 4
    end
    k = k + 4
  end
end
for queue, place in pairs(touched) do
  if place.freed then
    local first = redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then place.wake = tonumber(first[2]) end
  end
  if place.wake < math.huge then
    local blocked = tonumber(redis.call('HGET', place.gate, place.lane) or 0)
    local wake, lanes = math.max(place.wake, now, blocked), place.lanes
    heads[lanes] = heads[lanes] or tonumber(redis.call('ZRANGE', lanes, 0, 0, 'WITHSCORES')[2]) or math.huge
    redis.call('ZADD', lanes, 'LT', wake, place.lane)
    if wake < heads[lanes] then
      heads[lanes] = wake
      redis.pcall('PUBLISH', lanes, '')
    end
  end
end
return 'done'

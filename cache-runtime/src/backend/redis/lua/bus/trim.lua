-- ARGV: the bus, how old the first event of a group may be, how many events there may be, how long a process's own group may be silent, when it is
-- not too early to trim again. Answers the groups that were lost. Times are in milliseconds.
local oldest, most, silence, every = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local lost, kept, now = {}, {}, now_ms()

local function is_too_early()
  local ends = whole(now + tonumber(every))
  if redis.call('SET', BUS .. '/trim', ends, 'NX', 'PX', every) then return false end
  -- What is past its end, or further than ours ever is, stays for ever, and was not written by us.
  local told = number_at(BUS .. '/trim')
  if told >= now and told <= now + DAY then return true end
  redis.call('SET', BUS .. '/trim', ends, 'PX', every)
  return false
end
if is_too_early() then return {} end

-- A process that has nothing before it and was given nothing for a day is forgotten: where it is still there it is known again with its next event.
local function forget_processes(group)
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', BUS, group.name)) do
    local process = fields(flat)
    if process.pending == 0 and process.idle > DAY then
      redis.call('XGROUP', 'DELCONSUMER', BUS, group.name, process.name)
    end
  end
end

-- The group of a single process, of which nothing was heard for too long. Its reads do not count: before Redis 7.2 those without an event leave no trace.
local function is_silent(group)
  if not string.find(group.name, '/', 1, true) then return false end
  local heard = tonumber(redis.call('HGET', HEARD, group.name) or '0') or 0
  return now - heard > silence
end

local function lose(group)
  redis.call('XGROUP', 'DESTROY', BUS, group.name)
  redis.call('HDEL', FLUSH, group.name)
  redis.call('HDEL', HEARD, group.name)
  lost[#lost + 1] = group.name
end

-- How many events were removed by whomever. Only Redis 7 and later count those that were added.
local function removed_by_all()
  if redis.call('EXISTS', BUS) == 0 then return 0 end
  local stream = fields(redis.call('XINFO', 'STREAM', BUS))
  return stream['entries-added'] and stream['entries-added'] - stream.length
end

local removed = removed_by_all()
-- Then nobody knows which group has missed something.
local others_have_removed = removed and removed > number_at(REMOVED)

for _, group in ipairs(groups_of_bus()) do
  group.first = first_of(group)
  local is_late = group.first and parts(group.first) + oldest < now
  if is_late or others_have_removed or is_silent(group) then
    lose(group)
  else
    forget_processes(group)
    kept[#kept + 1] = group
  end
end

-- Removes what all have acknowledged. Answers the place of the group that is furthest behind.
local function remove_acknowledged()
  local at
  for i, group in ipairs(kept) do
    if group.first and (not at or is_before(group.first, kept[at].first)) then at = i end
  end
  if at then
    redis.call('XTRIM', BUS, 'MINID', kept[at].first)
  elseif redis.call('EXISTS', BUS) == 1 then
    redis.call('XTRIM', BUS, 'MAXLEN', 0)
  end
  return at
end

local furthest = remove_acknowledged()
while furthest and redis.call('XLEN', BUS) > most do
  lose(table.remove(kept, furthest))
  furthest = remove_acknowledged()
end
removed = removed_by_all()
if removed then redis.call('SET', REMOVED, whole(removed)) end
return lost

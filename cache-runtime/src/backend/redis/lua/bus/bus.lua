-- What the scripts of the bus begin with, after state.lua.
--
-- ARGV[1] is the hash tag that all keys of the bus share, here T:
--   T            the events: a stream of entries with the field e, in which the regions' groups are groups
--   T/flush      group -> the name of the flush that it owes
--   T/heard      group -> when one of its processes last joined, in milliseconds
--   T/p:<token>  the number of a sender's last batch, for a day after it was last heard of
--   T/removed    how many events were removed from the stream since it was made
--   T/trim       there while it is too early to trim again: when that ends, in milliseconds
local BUS = ARGV[1]
local FLUSH, HEARD, REMOVED = BUS .. '/flush', BUS .. '/heard', BUS .. '/removed'

-- What is under the name and is of another type goes: it is nothing of ours. Whether anything was.
local function clear_way(name, command, ...)
  local said = redis.pcall(command, name, ...)
  if type(said) ~= 'table' or not said.err or not string.find(said.err, 'WRONGTYPE', 1, true) then return false end
  redis.call('UNLINK', name)
  return true
end

-- Groups that are gone are found out by their readers: each makes its own anew, and flushes. That is also the way out where nobody knows any
-- more which of them owed a flush.
clear_way(BUS, 'XLEN')
clear_way(HEARD, 'HGET', '')
if clear_way(FLUSH, 'HGET', '') then redis.call('UNLINK', BUS) end

-- The number of a name; 0 where there is none.
local function number_at(name)
  local text = redis.pcall('GET', name)
  return type(text) == 'string' and tonumber(text) or 0
end

-- Fields with their values, as a table.
local function fields(flat)
  local table = {}
  for i = 1, #flat, 2 do table[flat[i]] = flat[i + 1] end
  return table
end

-- The groups; none where there is no stream.
local function groups_of_bus()
  local groups = redis.pcall('XINFO', 'GROUPS', BUS)
  if groups.err then
    if string.find(groups.err, 'no such key', 1, true) then return {} end
    error(groups.err)
  end
  for at, flat in ipairs(groups) do groups[at] = fields(flat) end
  return groups
end

-- The id of the first event that the group has not acknowledged, and how many it was given and has not.
local function first_of(group)
  local pending = redis.call('XPENDING', BUS, group.name)
  if pending[1] > 0 then return pending[2], pending[1] end
  local next = redis.call('XRANGE', BUS, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)
  return next[1] and next[1][1], 0
end

local function parts(id)
  local millis, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(millis), tonumber(number)
end

local function is_before(one, other)
  local millis, number = parts(one)
  local millis2, number2 = parts(other)
  return millis < millis2 or millis == millis2 and number < number2
end

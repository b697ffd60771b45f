-- The tags of the namespace, after state.lua.
--
--   T/f      two numbers, "<floor> <clock>": that of the last bump of the namespace, and that of the last invalidation of any tag or of the
--            namespace, in microseconds or one more than the last
--   T:<tag>  the number of the tag's last invalidation, or what the clock said when it was first used; it expires after its last entry
-- where T is "{<namespace>/tags}". What is missing counts as newer than all that is there, so it may be lost, by eviction as well; who loads makes
-- it anew. Floor and clock are lost together: what is from after the clock is from before that, when the clock was ahead of its time. In Redis Cluster
-- these live in a slot of their own.
--
-- An entry has the number from before its load in its bytes 57..64, how many tags it has in 7..8, and from 65 on their names, each after its length in
-- two bytes.
local TAGS = #KEYS > 0 and string.match(KEYS[1], '^[^:]*') .. '/tags}' or ARGV[1]
-- A tag that is known before the load lives at least so long without an entry.
local UNUSED = 3600000
local HEADER = 64

-- From here on Lua's numbers skip some.
local LAST = 9007199254740991

local function number_in(text)
  local number = type(text) == 'string' and #text < 17 and string.find(text, '^%d+$') and tonumber(text)
  return number and number <= LAST and number or nil
end

local function number_of(name)
  return number_in(redis.pcall('GET', name))
end

-- Without memory for it the number is told all the same: nothing is stored under it.
local function remember(name, number, ...)
  redis.pcall('SET', name, whole(number), ...)
  return number
end

local function micros()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- They do not change while a script runs that does not change them.
local clock, floor

local function read_clock()
  if clock then return end
  local text = redis.pcall('GET', TAGS .. '/f')
  local low, high = string.match(type(text) == 'string' and text or '', '^(%d+) (%d+)$')
  floor, clock = number_in(low), number_in(high)
  if floor and clock then return end
  clock = micros()
  floor = clock
  redis.pcall('SET', TAGS .. '/f', whole(floor) .. ' ' .. whole(clock))
end

local function clock_now()
  read_clock()
  return clock
end

local function floor_now()
  read_clock()
  return floor
end

-- The next number of the clock, also for the floor if that is to rise. A server without memory refuses only a script's first write, and this
-- one it never refuses.
local function tick(is_bump)
  read_clock()
  clock = math.max(clock + 1, micros())
  if is_bump then floor = clock end
  redis.call('UNLINK', TAGS .. '/f')
  redis.call('SET', TAGS .. '/f', whole(floor) .. ' ' .. whole(clock))
  return clock
end

-- Runs work on the names in a block of tags until it answers false, which is then the answer; false too where the block is damaged.
local function all_tags(block, count, work)
  local at = 1
  for _ = 1, count do
    if at + 1 > #block then return false end
    local length = struct.unpack('<H', block, at)
    if at + 1 + length > #block then return false end
    if not work(TAGS .. ':' .. string.sub(block, at + 2, at + 1 + length)) then return false end
    at = at + 2 + length
  end
  return true
end

-- The last invalidation of these tags and of the namespace. The tags are known from now on.
local function last_of(block)
  local last, at, count = floor_now(), 1, 0
  while at < #block do
    at = at + 2 + struct.unpack('<H', block, at)
    count = count + 1
  end
  all_tags(block, count, function(name)
    last = math.max(last, number_of(name) or remember(name, clock_now(), 'PX', UNUSED))
    return true
  end)
  return last
end

-- Whether the value is good, by its tags. What is no entry has none.
local function is_good(value)
  if #value < HEADER or string.sub(value, 1, 4) ~= 'CRT\2' then return true end
  local since = struct.unpack('<I8', value, 57)
  if since < floor_now() or since > clock_now() then return false end
  local count = struct.unpack('<H', value, 7)
  return count == 0 or all_tags(string.sub(value, HEADER + 1), count, function(name)
    local version = number_of(name)
    return version and since >= version
  end)
end

-- The number that an entry is to be stored with, which comes in its parts; nothing if it is good no more. Its tags are kept as long as it is.
local function admit(first, since, rest, ttl)
  if #since ~= 8 then return since end
  local from = struct.unpack('<I8', since)
  if from == 0 then from = clock_now() end
  local good = from >= floor_now() and from <= clock_now()
  all_tags(rest, struct.unpack('<H', first, 7), function(name)
    local version = number_of(name)
    if not version then
      version = remember(name, clock_now(), 'PX', ttl)
    elseif redis.call('PTTL', name) < tonumber(ttl) then
      redis.call('PEXPIRE', name, ttl)
    end
    good = good and from >= version
    return true
  end)
  return good and struct.pack('<I8', from)
end

-- Stores an entry that comes in its parts: 1, or 0 if it is good no more.
local function store_good(first, middle, since, rest, ttl, stamp)
  local number = admit(first, since, rest, ttl)
  if not number then return 0 end
  return store(first, middle .. number .. rest, ttl, stamp)
end

-- ARGV: the log, and for each write its kind, head and arguments, and TTL and the four parts of the value, or five
-- empty ones.
-- Answers for each write its sequence number, or where too many are pending {the number that it would have had, 1 if others of its key are}.
local now = now_ms()
begin_numbers(#KEYS / 2)

-- What is pending of each function: read once and written once.
local counts, changed = {}, {}

-- How many entries there are in all: counted once, when a function seems to be full, and then as they are added.
local entries

local function entries_in_the_log()
  if entries then return entries end
  entries = 0
  for partition = 0, PARTITIONS - 1 do
    local length = redis.pcall('XLEN', stream_of(partition))
    if type(length) == 'number' then entries = entries + length end
  end
  return entries
end

local function is_full(func, most)
  counts[func] = counts[func] or number_in(field_of(COUNT, func)) or 0
  if counts[func] < most then return false end
  -- A count from before entries were lost would refuse writes for ever.
  counts[func] = math.min(counts[func], entries_in_the_log())
  return counts[func] >= most
end

local answers = for_each(now, 1, 8, function(_, at)
  local kind = kind_of(ARGV[at + 1])
  local func = kind.func
  if is_full(func, kind.most) then return { next_number(), last_pending() and 1 or 0 } end
  local sequence = append(now, kind.stream, unpack(ARGV, at + 2, at + 8))
  counts[func] = counts[func] + 1
  if entries then entries = entries + 1 end
  changed[func] = true
  return sequence
end)
for func in pairs(changed) do redis.call('HSET', COUNT, func, whole(counts[func])) end
return answers

-- How a write comes into the log, after log.lua.

local NEXT

-- The greatest sequence number that anything in the log has.
local function highest()
  local last = redis.pcall('ZREVRANGEBYSCORE', DEAD, '(' .. whole(BEYOND), 0, 'WITHSCORES', 'LIMIT', 0, 1)
  local found = not last.err and tonumber(last[2] or 0) or 0
  for partition = 0, PARTITIONS - 1 do
    local info = redis.pcall('XINFO', 'STREAM', stream_of(partition))
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then found = math.max(found, tonumber(string.match(info[i + 1], '^%d+'))) end
    end
  end
  return found
end

-- Takes so many sequence numbers for this run. They are not before the time, so that they go on where the last one was lost; and not
-- before what is there, for where the clock was set back too.
local function reserve(count, last)
  NEXT = math.max(last + 1, micros())
  if NEXT + count >= BEYOND then error({ err = 'ERR the log has no greater sequence numbers' }) end
  redis.call('SET', LOG .. '/seq', whole(NEXT + count - 1))
end

local function begin_numbers(count)
  reserve(count, number_in(redis.pcall('GET', LOG .. '/seq')) or highest())
end

local function next_number()
  NEXT = NEXT + 1
  return NEXT - 1
end

-- Adds an entry to a stream, and answers its sequence number, also as text.
local function add(stream, ...)
  for _ = 1, 3 do
    local sequence = next_number()
    local text = whole(sequence)
    local id = redis.pcall('XADD', stream, text .. '-0', ...)
    if type(id) == 'string' then return sequence, text end
    if string.find(id.err, 'WRONGTYPE', 1, true) then
      clear_way(stream)
    elseif string.find(id.err, 'equal or smaller', 1, true) then
      reserve(#KEYS + 1, highest())
    else
      error(id)
    end
  end
  error({ err = 'ERR the log takes no entry' })
end

-- Does beside what else the state says what a write does: it overlaps others, and if it tells a value it ends the lease, but is not stored
-- beside them: whether it runs before or after those is not known either. A lease goes on beside one that tells none.
local function note_beside(now, state, sequence, stream)
  local _, expiry = lease_of(state, now)
  if stream or not expiry then
    end_lease(state)
  elseif state.plain then
    redis.call('UNLINK', STATE)
    redis.call('HSET', STATE, 'l', state.l, 'x', whole(expiry))
    if state.w then redis.call('HSET', STATE, 'w', '1') end
  end
  local live, count = writes(state, now)
  overlap(state, live, count, now)
  if stream and count > 0 then redis.call('UNLINK', VALUE) end
  redis.call('HSET', STATE, 'n', sequence)
  if stream then
    redis.call('HSET', STATE, 'q', sequence, 's', stream)
    if state.d then redis.call('HDEL', STATE, 'd') end
    if count > 0 then redis.call('HSET', STATE, 'd', sequence) end
  end
  redis.call('PERSIST', STATE)
end

-- Notes in the entry that the write is pending, and shows its value.
local function show(now, sequence, stream, value, ttl)
  redis.call('SET', VALUE, value, 'PX', ttl)
  -- Mostly there was nothing before, or an earlier write. Any other string is what it was, and a hash as it is.
  local before = redis.pcall('GETSET', STATE, 'n' .. sequence .. ' ' .. sequence .. ' ' .. stream)
  if not before then return end
  if type(before) == 'string' then
    local state = plain(before)
    if state then tell(state) end
    return
  end
  if not string.find(before.err, 'WRONGTYPE', 1, true) then error(before) end
  note_beside(now, read_state(), sequence, stream)
end

-- Notes in the entry that a write is pending that tells no value.
local function note(now, sequence)
  if redis.call('SET', STATE, 'n' .. sequence, 'NX') then return end
  local text = redis.pcall('GET', STATE)
  local state = type(text) == 'string' and only_pending(text)
  if state then
    redis.call('SET', STATE, 'n' .. sequence .. (state.q and ' ' .. state.q .. ' ' .. state.s or ''))
  else
    note_beside(now, read_state(), sequence)
  end
end

-- What many writes have in common, "<partition> <how many may be pending> <function>": it is taken apart once.
local KINDS = {}

local function kind_of(text)
  local kind = KINDS[text]
  if not kind then
    local partition, most, func = string.match(text, '^(%d+) (%d+) (.*)$')
    kind = { stream = stream_of(partition), most = tonumber(most), func = func }
    KINDS[text] = kind
  end
  return kind
end

-- Appends a write. Where the entry cannot be told of it, as by a user who may not, it is not pending, and nothing says that it is.
local function append(now, stream, head, arguments, ttl, first, middle, since, rest)
  local sequence, text, done, failure
  if ttl == '' then
    sequence, text = add(stream, 'h', head, 'a', arguments)
    done, failure = pcall(note, now, text)
  else
    local number = admit(first, since, rest, ttl) or struct.pack('<I8', clock_now())
    local value = stamped(first, middle .. number .. rest, stamp_of(now))
    sequence, text = add(stream, 'h', head, 'a', arguments, 'v', value)
    done, failure = pcall(show, now, text, stream, value, ttl)
  end
  if done then return sequence end
  redis.call('XDEL', stream, text .. '-0')
  redis.pcall('UNLINK', VALUE)
  if type(redis.pcall('HDEL', STATE, 'n', 'q', 's', 'd')) == 'table' then redis.pcall('UNLINK', STATE) end
  error(failure)
end

-- The last write of the key that is in the log.
local function last_pending()
  local text = redis.pcall('GET', STATE)
  if type(text) == 'string' then return number_in((only_pending(text) or {}).n) end
  return number_in(redis.pcall('HGET', STATE, 'n'))
end

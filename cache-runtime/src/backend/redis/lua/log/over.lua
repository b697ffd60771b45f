-- How writes leave the log, after log.lua.

-- So many arguments one command gets: Lua's stack has an end.
local MOST = 1000

-- Removes entries, whose sequence numbers come with spaces between them, and answers how many there were.
local function remove(partition, func, sequences)
  local ids, removed = {}, 0
  clear_way(stream_of(partition))
  for sequence in string.gmatch(sequences, '%d+') do ids[#ids + 1] = sequence .. '-0' end
  for i = 1, #ids, MOST do
    removed = removed + redis.call('XDEL', stream_of(partition), unpack(ids, i, math.min(i + MOST - 1, #ids)))
  end
  uncount(func, removed)
  return removed
end

local function forget_begun(partition, key, last)
  local begun = stream_of(partition) .. '/b'
  local through = string.match(field_of(begun, key) or '', '^(%d+):')
  if through and tonumber(through) <= last then redis.call('HDEL', begun, key) end
end

local function is_among(number, sequences)
  return number and string.find(' ' .. sequences .. ' ', ' ' .. number .. ' ', 1, true)
end

-- Removes from the entry what these writes of the key left there, and the value where it is disputed, to be dropped with them or invalidated.
local function settle(now, sequences, drops, invalidates)
  local state = read_state()
  local is_told = is_among(state.q, sequences)
  local is_disputed = is_told and state.d == state.q
  if is_told then
    redis.call('HDEL', STATE, 'q', 's', 'd')
    state.q = nil
  end
  if is_among(state.n, sequences) then
    -- Where an earlier one is over later, the state has to live until then.
    state.n = state.q
    if state.n then
      redis.call('HSET', STATE, 'n', state.n)
    else
      redis.call('HDEL', STATE, 'n')
      let_expire()
    end
  end
  if invalidates and not state.q or drops and is_told or is_disputed then
    redis.call('UNLINK', VALUE)
    end_lease(state)
  end
  local live, count = writes(state, now)
  overlap(state, live, count, now)
end

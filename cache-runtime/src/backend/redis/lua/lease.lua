-- ARGV: TTL, and for each entry the token, which value to pass over: '0' for none, '1' for any, else the one with these bytes 8..24, and a block of the
-- tags that are known.
-- Answers for each entry: the value, {1, holder, clock, last}, {2, generation, clock, last}, or {0, clock, last} for a lease that is granted, where
-- last is the last invalidation of its tags.
local now, ttl = now_ms(), ARGV[1]

-- All values at once, or one after another for a user who may not. A foreign type under a key is a miss: the fill overwrites it.
local function read_values()
  local names = every_second(1)
  local values = redis.pcall('MGET', unpack(names))
  if not values.err then return values end
  for i, name in ipairs(names) do
    local value = redis.pcall('GET', name)
    values[i] = type(value) == 'string' and value
  end
  return values
end
local values = read_values()

-- What a pending write told, as new as if it had been written now: so it does not expire before the write is over. It goes back into its
-- place, for those who only look there.
local function as_new(value, lives, is_written)
  if #value >= 16 then value = string.sub(value, 1, 8) .. stamp_of(now) .. string.sub(value, 17) end
  if #value >= HEADER and string.sub(value, 1, 4) == 'CRT\2' then
    local number = admit(string.sub(value, 1, 8), struct.pack('<I8', 0), string.sub(value, HEADER + 1), lives)
    value = string.sub(value, 1, 56) .. (number or struct.pack('<I8', clock_now())) .. string.sub(value, HEADER + 1)
  end
  if not is_written then redis.pcall('SET', VALUE, value, 'PX', lives) end
  return value
end

-- Whether the value that is there may be that of a pending write.
local function may_be_pending()
  local text = redis.pcall('GET', STATE)
  if type(text) == 'table' then return redis.pcall('HEXISTS', STATE, 'q') == 1 end
  local state = text and only_pending(text)
  return state and state.q
end

-- There is a state: what it says of writes and of another lease, or the lease all the same. With a value
-- that is a hit the question is whether a pending write has a newer answer.
local function grant_beside(token, hit, versions)
  local state, any = read_state()
  local _, count, ended = writes(state, now)
  -- A write that ended by its expiry is an end too. The caller's token was never used: it will do as a new generation.
  if count > 0 and (ended or not is_token(state.g)) then
    state.g = token
    redis.call('HSET', STATE, 'g', state.g)
  end
  local told, lives = pending(state)
  if told then
    -- Its rows may have been changed after its body has run: which of the two was first is not known.
    if not is_good(told) then dispute(state) end
    return as_new(told, lives, count > 0)
  end
  if hit then return hit end
  if count > 0 then return versions(2, state.g) end
  local holder = lease_of(state, now)
  if holder then return versions(1, holder) end
  end_lease(state)
  if not any or state.plain then
    redis.call('SET', STATE, token, 'PX', ttl)
  else
    redis.call('HSET', STATE, 'l', token, 'x', whole(now + ttl))
    keep(state, ttl)
  end
  return versions(0)
end

return for_each(now, 1, 3, function(i, at)
  local token, passed_over, tags, value = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], values[i]
  local is_hit = value and passed_over ~= '1' and mark_of(value) ~= passed_over and is_good(value)
  if is_hit and not may_be_pending() then return value end
  -- What the caller is told of the tags, beside anything else.
  local function versions(what, token)
    local last = last_of(tags)
    if token then return { what, token, clock_now(), last } end
    return { what, clock_now(), last }
  end
  if not is_hit and redis.call('SET', STATE, token, 'PX', ttl, 'NX') then return versions(0) end
  return grant_beside(token, is_hit and value, versions)
end)

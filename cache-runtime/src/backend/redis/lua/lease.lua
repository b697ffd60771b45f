-- ARGV: TTL, and for each entry the token, and which value to pass over: '0' for none, '1' for any, else the one with these bytes 8..24.
-- Answers for each entry: the value, {1, holder}, {2, generation}, or 0 for a lease that is granted.
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

-- There is a state: what it says of writes and of another lease, or the lease all the same.
local function grant_beside(token)
  local state, any = read_state()
  local _, count, ended = writes(state, now)
  if count > 0 then
    -- A write that ended by its expiry is an end too. The caller's token was never used: it will do as a new generation.
    if ended or not is_token(state.g) then
      state.g = token
      redis.call('HSET', STATE, 'g', state.g)
    end
    return { 2, state.g }
  end
  local holder = lease_of(state, now)
  if holder then return { 1, holder } end
  end_lease(state)
  if not any or state.plain then
    redis.call('SET', STATE, token, 'PX', ttl)
  else
    redis.call('HSET', STATE, 'l', token, 'x', whole(now + ttl))
    keep(ttl)
  end
  return 0
end

return for_each(now, 1, 2, function(i, at)
  local token, passed_over, value = ARGV[at + 1], ARGV[at + 2], values[i]
  if passed_over ~= '1' and value and mark_of(value) ~= passed_over then return value end
  if redis.call('SET', STATE, token, 'PX', ttl, 'NX') then return 0 end
  return grant_beside(token)
end)

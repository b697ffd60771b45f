-- ARGV: token, TTL, '1' to replace a value that is there
if ARGV[3] == '0' then
  -- A foreign type under the key is a miss: the fill overwrites it.
  local value = redis.pcall('GET', VALUE)
  if type(value) == 'string' then return value end
end
local state, any = read_state()
local now = now_ms()
if any then
  local _, count, ended = writes(state, now)
  if count > 0 then
    -- A write that ended by its expiry is an end too. The caller's token was never used: it will do as a new generation.
    if ended or not is_token(state.g) then
      state.g = ARGV[1]
      redis.call('HSET', STATE, 'g', state.g)
    end
    return { 2, state.g }
  end
  local holder = lease_of(state, now)
  if holder then return { 1, holder } end
  end_lease(state)
end
redis.call('HSET', STATE, 'l', ARGV[1], 'x', whole(now + ARGV[2]))
if any then keep(ARGV[2]) else redis.call('PEXPIRE', STATE, ARGV[2]) end
return 0

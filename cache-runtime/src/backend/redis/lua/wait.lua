-- ARGV: token. How long its lease still lives, in milliseconds, or -1; and from now on its end is published.
local state = read_state()
local now = now_ms()
local holder, expiry = lease_of(state, now)
if holder ~= ARGV[1] then return -1 end

local function mark()
  if state.plain then return redis.pcall('SET', STATE, holder .. 'w', 'KEEPTTL') end
  return redis.pcall('HSET', STATE, 'w', '1')
end

-- Without memory for the mark nobody will call: the caller is to ask again soon.
if not state.w then
  local done = mark()
  if type(done) == 'table' and done.err then return math.min(expiry - now, 50) end
end
return expiry - now

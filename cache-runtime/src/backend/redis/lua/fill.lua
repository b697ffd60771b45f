-- ARGV: for each entry the token, its four parts, TTL
local now = now_ms()
local stamp = stamp_of(now)
-- What is not a plain lease is read by itself.
local texts = redis.pcall('MGET', unpack(every_second(2)))

-- Plain leases that are over: they go all at once in the end.
local over = {}

-- Nothing but this lease, and nobody waits for its end: so it is nearly always, and nothing needs to be taken apart.
local function fill_plain(at)
  over[#over + 1] = STATE
  return store_good(ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], stamp)
end

local function fill(at)
  local state = read_state()
  if not is_leased(state, now, ARGV[at + 1]) then return 0 end
  local done = store_good(ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], stamp)
  end_lease(state)
  return done
end

local answers = for_each(now, 0, 6, function(i, at)
  if texts[i] == ARGV[at + 1] then return fill_plain(at) end
  return fill(at)
end)
if #over > 0 then redis.call('UNLINK', unpack(over)) end
return answers

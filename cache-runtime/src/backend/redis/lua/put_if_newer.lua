-- ARGV: version as 20 digits, the four parts of the entry, its TTL, the fence's TTL
local state = read_state()
local now = now_ms()
end_lease(state)
local entry = pending(state)
if entry then dispute(state) end
local fence = state.f
if fence and #fence == 20 and not string.find(fence, '%D') and fence >= ARGV[1] then return 0 end
local live, count = writes(state, now)
overlap(state, live, count, now)
redis.call('HSET', STATE, 'f', ARGV[1])
keep(state, ARGV[7])
if entry then return 0 end
local done = store_good(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], stamp_of(now))
if done == 0 then redis.call('UNLINK', VALUE) end
return done

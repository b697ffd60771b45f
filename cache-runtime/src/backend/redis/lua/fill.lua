-- ARGV: token, the entry before and after its stamp, TTL
local state = read_state()
local now = now_ms()
if lease_of(state, now) ~= ARGV[1] then return 0 end
end_lease(state)
return store(ARGV[2], ARGV[3], ARGV[4], now) or 1

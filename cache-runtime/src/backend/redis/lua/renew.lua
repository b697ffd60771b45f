-- ARGV: token, TTL
local state = read_state()
local now = now_ms()
if lease_of(state, now) ~= ARGV[1] then return 0 end
redis.call('HSET', STATE, 'x', whole(now + ARGV[2]))
keep(ARGV[2])
return 1

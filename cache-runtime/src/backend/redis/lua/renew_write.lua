-- ARGV: token, TTL
local state = read_state()
local now = now_ms()
local field = 'i:' .. ARGV[1]
local mine = writes(state, now)[field]
if not mine then return 0 end
redis.call('HSET', STATE, field, whole(now + ARGV[2]) .. ':' .. mine.overlapped)
keep(state, ARGV[2])
return 1

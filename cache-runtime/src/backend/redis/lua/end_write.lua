-- ARGV: token, a fresh token as the generation, and where a value is to be stored: the entry's four parts, TTL
local state = read_state()
local now = now_ms()
local live, count = writes(state, now)
local field = 'i:' .. ARGV[1]
local mine = live[field]
redis.call('UNLINK', VALUE)
end_lease(state)
dispute(state)
if mine then
  redis.call('HDEL', STATE, field)
  live[field] = nil
  count = count - 1
else
  -- It committed at an unknown time while others took it for dead: they cannot know whose value is the last.
  mark_overlapped(live)
end
if count > 0 then
  redis.call('HSET', STATE, 'g', ARGV[2])
elseif state.g then
  redis.call('HDEL', STATE, 'g')
end
if not mine or mine.overlapped == '1' or pending(state) then return 0 end
return ARGV[3] and store_good(ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], stamp_of(now)) or 1

-- ARGV: token, TTL, a fresh token as the generation. Answers the clock of the tags.
local state = read_state()
local now = now_ms()
local live, count = writes(state, now)
local mine = 'i:' .. ARGV[1]
local overlapped = '0'
if live[mine] then
  -- Asked again, as after an answer that got lost.
  overlapped = live[mine].overlapped
  live[mine] = nil
  count = count - 1
end
if count > 0 then
  overlapped = '1'
  mark_overlapped(live)
end
redis.call('UNLINK', VALUE)
end_lease(state)
dispute(state)
redis.call('HSET', STATE, mine, whole(now + ARGV[2]) .. ':' .. overlapped, 'g', ARGV[3])
keep(state, ARGV[2])
return clock_now()

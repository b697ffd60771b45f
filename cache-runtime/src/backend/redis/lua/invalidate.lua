-- A write in progress must not store what it knew before this: an invalidation overlaps it as another write would.
redis.call('UNLINK', VALUE)
local state, any = read_state()
if any then
  end_lease(state)
  dispute(state)
  local now = now_ms()
  local live, count = writes(state, now)
  overlap(state, live, count, now)
end
return 0

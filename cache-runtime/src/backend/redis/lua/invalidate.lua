-- A write in progress must not store what it knew before this: an invalidation overlaps it as another write would.
redis.call('UNLINK', VALUE)
local state, any = read_state()
if any then
  end_lease(state)
  mark_overlapped(writes(state, now_ms()))
end
return 0

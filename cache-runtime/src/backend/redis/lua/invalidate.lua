-- invalidate
-- A write in progress must not store what it knew before this: an invalidation overlaps it as another write would.
local now = now_ms()
return for_each(now, 0, 0, function()
  redis.call('UNLINK', VALUE)
  local state, any = read_state()
  if any then
    end_lease(state)
    dispute(state)
    local live, count = writes(state, now)
    overlap(state, live, count, now)
  end
  return 0
end)

-- The value and the lease go, as by an invalidation. The intents of writes in progress stay, and the fence with them:
-- they are what keeps older values out, and they have their own expiry.
redis.call('UNLINK', VALUE)
local state, any = read_state()
if any then
  end_lease(state)
  local now = now_ms()
  local live, count = writes(state, now)
  overlap(state, live, count, now)
end
return 0

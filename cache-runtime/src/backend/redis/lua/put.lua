-- ARGV: the entry before and after its stamp, TTL
local state, any = read_state()
local now = now_ms()
if any then
  local _, count = writes(state, now)
  if pending(state) then
    dispute(state)
    return 0
  end
  if count > 0 then return 0 end
  end_lease(state)
end
return store(ARGV[1], ARGV[2], ARGV[3], stamp_of(now))

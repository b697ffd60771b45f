-- ARGV: the four parts of the entry, TTL
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
local done = store_good(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], stamp_of(now))
if done == 0 then redis.call('UNLINK', VALUE) end
return done

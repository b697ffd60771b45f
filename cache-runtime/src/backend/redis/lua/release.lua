-- ARGV: for each entry the token
local now = now_ms()
return for_each(now, 0, 1, function(_, at)
  local state = read_state()
  if is_leased(state, now, ARGV[at + 1]) then end_lease(state) end
  return 0
end)

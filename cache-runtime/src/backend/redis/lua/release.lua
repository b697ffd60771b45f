-- ARGV: token
local state = read_state()
if lease_of(state, now_ms()) == ARGV[1] then end_lease(state) end
return 0

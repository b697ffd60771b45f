-- Everything of the entry goes, the fence too.
redis.call('UNLINK', VALUE)
local state = read_state()
end_lease(state)
redis.call('UNLINK', STATE)
return 0

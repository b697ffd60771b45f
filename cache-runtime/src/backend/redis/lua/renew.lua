-- ARGV: TTL, and for each entry the token
local now, ttl = now_ms(), ARGV[1]
return for_each(now, 1, 1, function(_, at)
  local state = read_state()
  if not is_leased(state, now, ARGV[at + 1]) then return 0 end
  if state.plain then return redis.call('PEXPIRE', STATE, ttl) end
  redis.call('HSET', STATE, 'x', whole(now + ttl))
  keep(state, ttl)
  return 1
end)

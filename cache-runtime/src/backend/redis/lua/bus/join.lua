-- ARGV: the bus, a group, a name for the flush that it owes if it is new. Answers the one that it owes, or nothing.
if redis.call('EXISTS', BUS) == 0 then redis.call('UNLINK', REMOVED) end
local made = redis.pcall('XGROUP', 'CREATE', BUS, ARGV[2], '$', 'MKSTREAM')
if not made.err then
  redis.call('HSET', FLUSH, ARGV[2], ARGV[3])
elseif string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then
  return made
end
redis.call('HSET', HEARD, ARGV[2], whole(now_ms()))
return redis.call('HGET', FLUSH, ARGV[2])

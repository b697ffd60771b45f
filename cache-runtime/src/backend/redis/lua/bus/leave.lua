-- ARGV: the bus, a group, a process, '1' if the group is the process's own
if ARGV[4] == '1' then
  redis.pcall('XGROUP', 'DESTROY', BUS, ARGV[2])
  redis.call('HDEL', FLUSH, ARGV[2])
  redis.call('HDEL', HEARD, ARGV[2])
  return 0
end
local processes = redis.pcall('XINFO', 'CONSUMERS', BUS, ARGV[2])
for _, flat in ipairs(processes.err and {} or processes) do
  local process = fields(flat)
  if process.name == ARGV[3] and process.pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', BUS, ARGV[2], ARGV[3])
  end
end
return 0

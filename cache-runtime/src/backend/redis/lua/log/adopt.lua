-- ARGV: the log, a partition, and ids of entries in it that are no sequence numbers, as somebody else's are: each becomes the newest entry.
local stream = stream_of(ARGV[2])
begin_numbers(#ARGV - 2)
for i = 3, #ARGV do
  local found = redis.call('XRANGE', stream, ARGV[i], ARGV[i])
  if found[1] then
    -- Nothing of ours has more fields than Lua can hand over.
    add(stream, unpack(found[1][2], 1, math.min(#found[1][2], 1000)))
    redis.call('XDEL', stream, ARGV[i])
  end
end
return 0

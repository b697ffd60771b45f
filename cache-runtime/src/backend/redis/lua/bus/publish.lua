-- ARGV: the bus, a sender, the number of its batch, events. Answers 1, or 0 if what the sender published before is not known.
local name, number = BUS .. '/p:' .. ARGV[2], tonumber(ARGV[3])
local known = number_at(name)
if known ~= number then
  if #ARGV == 3 or number > 1 and known ~= number - 1 then return 0 end
  for i = 4, #ARGV do redis.call('XADD', BUS, '*', 'e', ARGV[i]) end
end
redis.call('SET', name, ARGV[3], 'PX', DAY)
return 1

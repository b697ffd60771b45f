-- ARGV: the bus, a group, at most so many are counted. Answers how many events it has before it and how old the first is in milliseconds; or nothing if there is no group.
for _, group in ipairs(groups_of_bus()) do
  if group.name == ARGV[2] then
    local first, given = first_of(group)
    local new = group.lag
    if type(new) ~= 'number' then
      new = #redis.call('XRANGE', BUS, '(' .. group['last-delivered-id'], '+', 'COUNT', ARGV[3])
    end
    return { given + new, first and math.max(0, now_ms() - parts(first)) or 0 }
  end
end
return false

-- invalidate_tags
-- ARGV: the hash tag of the tags, then their names. A tag that is not there, or is no number, needs none: nothing that has it is good.
local number = whole(tick())
for i = 2, #ARGV do
  local name = TAGS .. ':' .. ARGV[i]
  if number_of(name) then redis.call('SET', name, number, 'KEEPTTL') else redis.call('UNLINK', name) end
end
return 0

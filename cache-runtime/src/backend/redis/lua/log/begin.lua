-- ARGV: the log, a partition, a member, and of each group its key, through and attempts. Answers 0 if the member does not own the partition,
-- else for each group 1, or 0 if it is over already.
if not is_owner(ARGV[2], ARGV[3]) then return 0 end
local stream, answers = stream_of(ARGV[2]), {}
local begun = stream .. '/b'
field_of(begun, '')
clear_way(stream)

local function note(key, through, attempts)
  local id = through .. '-0'
  if #redis.call('XRANGE', stream, id, id) == 0 then return 0 end
  -- A server without memory refuses only a script's first write, and this one it never refuses: what is in the log must get out of it.
  redis.call('HDEL', begun, key)
  redis.call('HSET', begun, key, through .. ':' .. attempts)
  return 1
end

for i = 4, #ARGV, 3 do answers[#answers + 1] = note(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answers

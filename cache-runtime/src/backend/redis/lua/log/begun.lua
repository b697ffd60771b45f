-- ARGV: the log, a partition. Answers key, through and attempts of what was begun and is still there, one after another; forgets the rest.
local stream = stream_of(ARGV[2])
local begun, answers = stream .. '/b', {}
field_of(begun, '')
local flat = redis.call('HGETALL', begun)
for i = 1, #flat, 2 do
  local through, attempts = string.match(flat[i + 1], '^(%d+):(%d+)$')
  local id = through and through .. '-0'
  local found = id and redis.pcall('XRANGE', stream, id, id)
  if found and not found.err and found[1] then
    for _, part in ipairs({ flat[i], through, attempts }) do answers[#answers + 1] = part end
  else
    redis.call('HDEL', begun, flat[i])
  end
end
return answers

-- ARGV: the log, after, at most so many. Answers the time, and of each letter its sequence number, k, f, a, e, n and t.
local found = redis.pcall('ZRANGEBYSCORE', DEAD, '(' .. ARGV[2], '(' .. whole(BEYOND), 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local answers = { now_ms() }
for i = 2, #found, 2 do
  local sequence = whole(tonumber(found[i]))
  local fields = redis.pcall('HMGET', DEAD .. ':' .. sequence, 'k', 'f', 'a', 'e', 'n', 't')
  answers[#answers + 1] = { sequence, fields.err and '' or fields }
end
return answers

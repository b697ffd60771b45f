-- ARGV: the log, a partition, after, at most so many, at most so many bytes but for the first entry. Answers the time, and of each entry its id
-- and what is there of h and a.
local stream, most, room = stream_of(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local after = ARGV[3] .. '-0'
clear_way(stream)
local answers = { now_ms() }
local TOLD = { h = true, a = true }

-- What of the entry is to be told, and how long all of it is.
local function taken_apart(entry)
  local flat, told, length = entry[2], {}, 0
  for i = 1, #flat, 2 do
    length = length + #flat[i + 1]
    if TOLD[flat[i]] then
      told[#told + 1] = flat[i]
      told[#told + 1] = flat[i + 1]
    end
  end
  return { entry[1], told }, length
end

-- What is read is copied before its length is known: so few at first, and no more than there is room for if they are like those before.
local count, longest, left = 1, 1, most
while left > 0 do
  local asked = math.max(1, math.min(count, left, math.floor(room / longest)))
  local page = redis.call('XRANGE', stream, '(' .. after, '+', 'COUNT', asked)
  for _, entry in ipairs(page) do
    local told, length = taken_apart(entry)
    if length > room and #answers > 1 then return answers end
    answers[#answers + 1] = told
    room, longest = room - length, math.max(longest, length)
  end
  if #page < asked or room <= 0 then return answers end
  after, left, count = page[#page][1], left - #page, math.min(2 * count, 128)
end
return answers

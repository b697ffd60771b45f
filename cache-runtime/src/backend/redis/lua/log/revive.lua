-- ARGV: the log, a letter, '1' if not after later writes of the key and function, the key, and as to append.lua the write's kind, head, arguments
-- and value.
-- Answers its sequence number, 0 if there is no such letter, 1 if there are later writes.
local _, letter, unless_newer, key = unpack(ARGV)
local kind = kind_of(ARGV[5])
if not has_letter(letter) then return 0 end

local function is_same(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  local length, names = string.match(fields.h or '', '^%d* (%d+) (.*)$')
  return names == kind.func .. key and tonumber(length) == #kind.func
end

-- The key's state knows of no functions: a later write may be another's. Few letters are revived, and most of them with none.
local function is_later_pending()
  if (last_pending() or 0) <= tonumber(letter) then return false end
  local after = letter .. '-0'
  clear_way(kind.stream)
  while true do
    local page = redis.call('XRANGE', kind.stream, '(' .. after, '+', 'COUNT', 100)
    for _, entry in ipairs(page) do
      if is_same(entry) then return true end
    end
    if #page < 100 then return false end
    after = page[#page][1]
  end
end

local function is_superseded()
  local _, finished = letters_of(kind.func, key)
  return finished > tonumber(letter) or is_later_pending()
end

if unless_newer == '1' and is_superseded() then
  forget_letter(letter)
  return 1
end
begin_numbers(1)
local sequence = append(now_ms(), kind.stream, unpack(ARGV, 6, 12))
redis.call('HSET', COUNT, kind.func, whole((number_in(field_of(COUNT, kind.func)) or 0) + 1))
forget_letter(letter)
return sequence

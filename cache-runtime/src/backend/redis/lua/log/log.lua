-- What the scripts of the write log begin with, after state.lua and tags.lua.
--
-- ARGV[1] is the hash tag that all keys of the log share, here T:
--   T:<p>        the writes of a partition: a stream of entries "<sequence>-0" with the fields h (head: "<TTL> <length of the
--                function's name> <function><key>"), a (arguments), and v (value) where there is a TTL
--   T:<p>/o      its owner's token, which expires
--   T:<p>/b      what was begun: key -> "<through>:<attempts>"
--   T/seq        the last sequence number
--   T/count      function -> how many of its writes are pending
--   T/members    token -> when the membership ends, in milliseconds
--   T/terms      partition -> "<how often it has gone to another member>:<the token of that>"
--   T/dead       the sequence numbers of the dead letters, each its own score
--   T/dead:<s>   a dead letter: k (key), f (function), a (arguments), e (error), n (attempts), t (when it was buried)
--   T/d          "<function>\0<key>" -> "<their letters>:<the last of their writes that was finished while they had any>"
-- Their slot is another than those of the entries: in Redis Cluster, which is not supported, an append would have to be two steps.
local LOG = ARGV[1]
local COUNT, DEAD, LETTERED, TERMS = LOG .. '/count', LOG .. '/dead', LOG .. '/d', LOG .. '/terms'
local PARTITIONS = 16
local BEYOND = LAST + 1

-- A field of a hash. What is no hash goes: it is nothing of ours.
local function field_of(name, field)
  local text = redis.pcall('HGET', name, field)
  if type(text) ~= 'table' then return text end
  if string.find(text.err, 'WRONGTYPE', 1, true) then redis.call('UNLINK', name) end
  return false
end

local function stream_of(partition)
  return LOG .. ':' .. partition
end

-- What is under the name of a partition and is no stream goes: it is nothing of ours.
local function clear_way(stream)
  local length = redis.pcall('XLEN', stream)
  if type(length) == 'table' and string.find(length.err, 'WRONGTYPE', 1, true) then redis.call('UNLINK', stream) end
end

local function is_owner(partition, member)
  return redis.pcall('GET', stream_of(partition) .. '/o') == member
end

-- So many writes fewer of the function are pending. Those of a function that is not counted were not written by us.
local function uncount(func, removed)
  if removed == 0 or not field_of(COUNT, func) then return end
  local left = redis.pcall('HINCRBY', COUNT, func, -removed)
  if type(left) == 'table' or left <= 0 then redis.call('HDEL', COUNT, func) end
end

local function lettered(func, key)
  return func .. '\0' .. key
end

-- How many letters the function has of the key, and which of these writes was the last to be finished since.
local function letters_of(func, key)
  local count, finished = string.match(field_of(LETTERED, lettered(func, key)) or '', '^(%d+):(%d+)$')
  return tonumber(count or 0), tonumber(finished or 0)
end

local function note_letters(func, key, count, finished)
  local field = lettered(func, key)
  if count > 0 then
    redis.call('HSET', LETTERED, field, whole(count) .. ':' .. whole(finished))
  else
    redis.call('HDEL', LETTERED, field)
  end
end

local function has_letter(sequence)
  local found = redis.pcall('ZCOUNT', DEAD, sequence, sequence)
  return type(found) == 'number' and found > 0
end

local function forget_letter(sequence)
  local name = DEAD .. ':' .. sequence
  local func, key = field_of(name, 'f') or '', field_of(name, 'k') or ''
  redis.call('ZREMRANGEBYSCORE', DEAD, sequence, sequence)
  redis.call('UNLINK', name)
  local count, finished = letters_of(func, key)
  note_letters(func, key, count - 1, finished)
end

-- ARGV: the log, a member, TTL. Answers its share, and its partitions, each with its term.
local now, member, ttl = now_ms(), ARGV[2], ARGV[3]
local members = LOG .. '/members'

-- Nobody is a member for longer than a day: whoever is was not written by us, or the clock was set back. To remove comes first: a server
-- without memory refuses a script's first write unless it is such a one.
local removed = redis.pcall('ZREMRANGEBYSCORE', members, '-inf', whole(now))
if type(removed) == 'table' then redis.call('UNLINK', members) end
redis.call('ZREMRANGEBYSCORE', members, '(' .. whole(now + DAY), '+inf')
redis.call('ZADD', members, whole(now + ttl), member)
local share = math.ceil(PARTITIONS / redis.call('ZCARD', members))

local answers, free, owned = { share }, {}, 0

-- The term of a partition that is the member's: a new one if it was another's last.
local function term_of(partition)
  local term, last = string.match(field_of(TERMS, partition) or '', '^(%d+):(.+)$')
  if last ~= member then
    term = whole((tonumber(term) or 0) + 1)
    redis.call('HSET', TERMS, partition, term .. ':' .. member)
  end
  return tonumber(term)
end

local function own(partition)
  owned = owned + 1
  answers[#answers + 1] = partition
  answers[#answers + 1] = term_of(partition)
end

for partition = 0, PARTITIONS - 1 do
  local name = stream_of(partition) .. '/o'
  local owner = redis.pcall('GET', name)
  local left = owner and redis.call('PTTL', name)
  if owner == member then
    redis.call('PEXPIRE', name, ttl)
    own(partition)
  elseif type(owner) ~= 'string' or not is_token(owner) or left < 0 or left > DAY then
    free[#free + 1] = partition
  end
end
for _, partition in ipairs(free) do
  if owned >= share then break end
  redis.call('SET', stream_of(partition) .. '/o', member, 'PX', ttl)
  own(partition)
end
return answers

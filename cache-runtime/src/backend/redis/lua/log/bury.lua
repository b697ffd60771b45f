-- ARGV: the log, a partition, a member, the key, the function, the sequence numbers with spaces between them, the last of them, '1' if what is
-- cached is from before them, the arguments, the error, the attempts. Answers whether the member owns the partition.
local _, partition, member, key, func, sequences, last, invalidates, arguments, failure, attempts = unpack(ARGV)
if not is_owner(partition, member) then return 0 end
local now = now_ms()

local function write_letter()
  local name = DEAD .. ':' .. last
  if type(redis.pcall('ZADD', DEAD, last, last)) == 'table' then
    redis.call('UNLINK', DEAD)
    redis.call('ZADD', DEAD, last, last)
  end
  redis.call('UNLINK', name)
  redis.call('HSET', name, 'k', key, 'f', func, 'a', arguments, 'e', failure, 'n', attempts, 't', whole(now))
  local letters, finished = letters_of(func, key)
  note_letters(func, key, letters + 1, finished)
end

-- Asked again, as after an answer that got lost, there is nothing to bury any more.
if remove(partition, func, sequences) > 0 then write_letter() end
settle(now, sequences, true, invalidates == '1')
forget_begun(partition, key, tonumber(last))
return 1

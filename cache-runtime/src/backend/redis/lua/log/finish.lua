-- ARGV: the log, a partition, a member, and for each key it, the function, the sequence numbers with spaces between them, the last of all or
-- nothing if more are to come, and '1' if what is cached is from before them. Answers 0 if the member does not own the partition.
local partition = ARGV[2]
if not is_owner(partition, ARGV[3]) then return 0 end
local now = now_ms()
return for_each(now, 3, 5, function(_, at)
  local key, func, sequences, last, invalidates = unpack(ARGV, at + 1, at + 5)
  remove(partition, func, sequences)
  settle(now, sequences, false, invalidates == '1')
  if last == '' then return 1 end
  last = tonumber(last)
  local letters, finished = letters_of(func, key)
  if letters > 0 and last > finished then note_letters(func, key, letters, last) end
  forget_begun(partition, key, last)
  return 1
end)

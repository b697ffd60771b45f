-- ARGV: the log, a member, '1' if it leaves, the partitions that it gives up
for i = 4, #ARGV do
  if is_owner(ARGV[i], ARGV[2]) then redis.call('UNLINK', stream_of(ARGV[i]) .. '/o') end
end
if ARGV[3] == '1' then redis.pcall('ZREM', LOG .. '/members', ARGV[2]) end
return 0

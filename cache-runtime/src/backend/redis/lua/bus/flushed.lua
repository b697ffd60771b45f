-- ARGV: the bus, a group, the flush that is done
if redis.call('HGET', FLUSH, ARGV[2]) == ARGV[3] then redis.call('HDEL', FLUSH, ARGV[2]) end
return 0

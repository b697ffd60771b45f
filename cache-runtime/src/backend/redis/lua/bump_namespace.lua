-- bump_namespace
-- ARGV: the hash tag of the tags.
redis.call('SET', TAGS .. '/f', whole(tick()))
return 0

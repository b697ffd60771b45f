-- bump_namespace
-- ARGV: the hash tag of the tags.
tick(true)
return 0

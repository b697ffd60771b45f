-- versions
-- ARGV: the hash tag of the tags, a block of tags. Answers the clock and the last invalidation.
local last = last_of(ARGV[2])
return { clock_now(), last }

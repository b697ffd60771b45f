-- ARGV: the log, a letter. Answers whether there was one.
if not has_letter(ARGV[2]) then return 0 end
forget_letter(ARGV[2])
return 1

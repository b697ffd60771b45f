-- What every script begins with.
--
-- KEYS are pairs, one for each entry: the value, and the state of its loads and writes. Mostly there is a lease and nothing else: then
-- the state is its token, as a string that expires with it, and a 'w' after the token if anybody waits for its end. Or there are writes of the
-- key in the log and nothing else: then it is the string "n<n>", or "n<n> <q> <s>", of the fields below. Else it is a hash:
--   l, x, w    the lease: its token, its expiry, whether anybody waits for its end
--   i:<token>  the intent of a write: "<expiry>:<1 if another write overlapped, else 0>"
--   g          the generation of writes while one is in progress
--   f          the fence, as 20 digits: a Lua number cannot hold 64 bits, texts of one length compare right
--   n          the sequence number of the last write of the key that is in the log
--   q, s       the sequence number of the last such write that told a value, and the stream that it is in
--   d          q, if something else changed the row beside that write: which of the two was first is not known
-- Expiries are milliseconds of the server's clock. While `n` is there the state does not expire; while `q` is there nobody holds a lease.
--
-- The entry that is worked on: the first, until `for_each` moves on.
local VALUE, STATE = KEYS[1], KEYS[2]
-- No lease or intent lives longer from now: what says otherwise was not written by us, or the clock was set back.
local DAY = 86400000
-- No state of ours has so many fields: to look through one that has would keep the server from everybody else.
local MOST_FIELDS = 65536

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function is_token(text)
  return text and #text == 32 and not string.find(text, '%X')
end

-- A lease and nothing else, if the text is one.
local function plain(text)
  if type(text) ~= 'string' or #text > 33 then return end
  local token, waited_for = string.sub(text, 1, 32), #text == 33
  if not is_token(token) or waited_for and string.sub(text, 33) ~= 'w' then return end
  return { plain = true, l = token, w = waited_for and '1' or nil }
end

-- Whether the text is the number of a write, which Lua counts exactly.
local function is_sequence(text)
  return #text > 0 and #text < 17 and not string.find(text, '%D')
end

-- Pending writes and nothing else, if the text is such.
local function only_pending(text)
  local n, q, s = string.match(text, '^n(%d+) ?(%d*) ?(.*)$')
  if not n or not is_sequence(n) or q ~= '' and not is_sequence(q) then return end
  return { n = n, q = q ~= '' and q or nil, s = q ~= '' and s or nil }
end

-- Makes a hash of it, beside whose fields there is room for others.
local function spread(state)
  redis.call('UNLINK', STATE)
  redis.call('HSET', STATE, 'n', state.n)
  if state.q then redis.call('HSET', STATE, 'q', state.q, 's', state.s) end
  return state, true
end

local function forget_state(reply)
  if type(reply) == 'table' and not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err) end
  redis.call('UNLINK', STATE)
  return {}, false
end

-- Takes out what says of pending writes what no write of the log has said: it would fail every question, and keep the state for ever.
local function check_pending(state)
  local n, q = state.n, state.q
  if not n and not q or n and is_sequence(n) and (not q or is_sequence(q)) then return end
  redis.call('HDEL', STATE, 'n', 'q', 's', 'd')
  redis.call('PEXPIRE', STATE, DAY + 3600000)
  state.n, state.q, state.s, state.d = nil, nil, nil, nil
end

-- The fields, and whether there are any. What is nothing that we could read goes.
local function read_state()
  local text = redis.pcall('GET', STATE)
  if text == false then return {}, false end
  if type(text) == 'string' then
    local state = plain(text)
    if state then return state, true end
    state = only_pending(text)
    if state then return spread(state) end
    return forget_state(text)
  end
  local length = redis.pcall('HLEN', STATE)
  if type(length) == 'number' and length > MOST_FIELDS then
    redis.call('UNLINK', STATE)
    return {}, false
  end
  local flat = redis.pcall('HGETALL', STATE)
  if flat.err then return forget_state(flat) end
  local state = {}
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
  check_pending(state)
  return state, next(state) ~= nil
end

-- Lets the state live at least so many milliseconds more.
local function keep(state, ms)
  if state.n then return end
  if redis.call('PTTL', STATE) < tonumber(ms) then redis.call('PEXPIRE', STATE, ms) end
end

-- No write of the key is pending any more. A fence is to outlive the value by a day; a lease and an intent live no longer than that.
local function let_expire()
  redis.call('PEXPIRE', STATE, whole(math.max(0, redis.call('PTTL', VALUE)) + DAY + 3600000))
end

local function is_alive(expiry, now)
  return expiry and expiry > now and expiry - now <= DAY
end

-- What tells one stored entry from the next.
local function mark_of(value)
  local mark = string.sub(value, 9, 24)
  return mark .. string.rep('\0', 16 - #mark)
end

-- Token and expiry of the lease that lives.
local function lease_of(state, now)
  local expiry = state.x and tonumber(state.x)
  if state.plain then expiry = now + redis.call('PTTL', STATE) end
  if is_token(state.l) and is_alive(expiry, now) then
    return state.l, expiry
  end
end

-- Whether the lease is this one. A token that stands there was put there with its lease.
local function is_leased(state, now, token)
  if state.plain then return state.l == token end
  return lease_of(state, now) == token
end

-- Tells those who wait that the lease has ended. Who may not publish loses the message, not the change.
local function tell(state)
  if state.w then redis.pcall('PUBLISH', VALUE .. '/w', '1') end
end

-- Ends the lease, whoever holds it.
local function end_lease(state)
  if not (state.l or state.x or state.w) then return end
  if state.plain then redis.call('UNLINK', STATE) else redis.call('HDEL', STATE, 'l', 'x', 'w') end
  tell(state)
end

-- The intents that live, how many, and whether any was forgotten because its time is over.
local function writes(state, now)
  local live, count, ended = {}, 0, false
  for field, text in pairs(state) do
    if string.sub(field, 1, 2) == 'i:' then
      local digits, overlapped = string.match(text, '^(%d+):([01])$')
      local expiry = digits and tonumber(digits)
      if is_alive(expiry, now) then
        live[field] = { expiry = expiry, overlapped = overlapped }
        count = count + 1
      else
        redis.call('HDEL', STATE, field)
        ended = true
      end
    end
  end
  return live, count, ended
end

-- None of these writes may store its value any more.
local function mark_overlapped(live)
  for field, intent in pairs(live) do
    if intent.overlapped == '0' then redis.call('HSET', STATE, field, whole(intent.expiry) .. ':1') end
  end
end

-- Something else changed the row beside these writes: what is loaded from now on is not what was loaded before.
local function overlap(state, live, count, now)
  mark_overlapped(live)
  if count > 0 then
    redis.call('HSET', STATE, 'g', string.sub(redis.sha1hex((state.g or '') .. whole(now)), 1, 32))
  end
end

-- The entry with the time between its two parts: 8 bytes, and what comes after the time. One too short for a stamp comes as the second part alone.
local function stamped(first, rest, stamp)
  return #first > 0 and first .. stamp .. rest or rest
end

-- Stores the entry. Where that fails (no memory), no older value stays either, and the error is the answer, else 1.
local function store(first, rest, ttl, stamp)
  local done = redis.pcall('SET', VALUE, stamped(first, rest, stamp), 'PX', ttl)
  if done.err then
    redis.call('UNLINK', VALUE)
    return done
  end
  return 1
end

local function stamp_of(now)
  return struct.pack('<I8', now)
end

-- The value of the last write in the log that told one, and its TTL. One that somebody has removed from there is pending no more.
local function pending(state)
  if not state.q then return end
  local id = state.q .. '-0'
  local found = redis.pcall('XRANGE', state.s or '', id, id)
  if found.err and not string.find(found.err, 'WRONGTYPE', 1, true) then error(found) end
  local entry = {}
  local flat = found[1] and found[1][2] or {}
  for i = 1, #flat, 2 do entry[flat[i]] = flat[i + 1] end
  local ttl = entry.h and string.match(entry.h, '^%d+')
  if entry.v and ttl then return entry.v, ttl end
  redis.call('HDEL', STATE, 'q', 's', 'd')
  if state.n == state.q then
    redis.call('HDEL', STATE, 'n')
    let_expire()
    state.n = nil
  end
  state.q = nil
end

-- What a pending write told may be from before a change that is over: it is not to stay in the cache when the write is finished.
local function dispute(state)
  if not state.q or state.d == state.q then return end
  -- A server without memory refuses only a script's first write, and this one it never refuses.
  redis.call('HDEL', STATE, 'd')
  redis.call('HSET', STATE, 'd', state.q)
  state.d = state.q
end

local function every_second(first)
  local names = {}
  for i = first, #KEYS, 2 do names[#names + 1] = KEYS[i] end
  return names
end

-- Does the work on each entry by itself, and answers the time and what came of each. What fails with one is its answer, and the
-- others go on. The work gets the entry's number, and the place in ARGV before its own arguments: first are the `shared` ones,
-- then come `count` for each entry.
local function for_each(now, shared, count, work)
  local answers = { now }
  for i = 1, #KEYS / 2 do
    VALUE, STATE = KEYS[2 * i - 1], KEYS[2 * i]
    local done, answer = pcall(work, i, shared + (i - 1) * count)
    if not done and type(answer) ~= 'table' then answer = { err = tostring(answer) } end
    answers[i + 1] = answer
  end
  return answers
end

-- What every script begins with.
--
-- KEYS[1] is the value, KEYS[2] a hash with the state of its loads and writes:
--   l, x, w    the lease: its token, its expiry, whether anybody waits for its end
--   i:<token>  the intent of a write: "<expiry>:<1 if another write overlapped, else 0>"
--   g          the generation of writes while one is in progress
--   f          the fence, as 20 digits: a Lua number cannot hold 64 bits, texts of one length compare right
-- Expiries are milliseconds of the server's clock.
local VALUE, STATE = KEYS[1], KEYS[2]
-- No lease or intent lives longer from now: what says otherwise was not written by us, or the clock was set back.
local DAY = 86400000

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

-- The fields, and whether there are any. A key of another type is nothing that we could read: it goes.
local function read_state()
  local flat = redis.pcall('HGETALL', STATE)
  if flat.err then
    if not string.find(flat.err, 'WRONGTYPE', 1, true) then error(flat.err) end
    redis.call('UNLINK', STATE)
    return {}, false
  end
  local state = {}
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
  return state, #flat > 0
end

-- Lets the state live at least so many milliseconds more.
local function keep(ms)
  if redis.call('PTTL', STATE) < tonumber(ms) then redis.call('PEXPIRE', STATE, ms) end
end

local function is_alive(expiry, now)
  return expiry and expiry > now and expiry - now <= DAY
end

local function is_token(text)
  return text and #text == 32 and not string.find(text, '%X')
end

-- Token and expiry of the lease that lives.
local function lease_of(state, now)
  local expiry = state.x and tonumber(state.x)
  if is_token(state.l) and is_alive(expiry, now) then
    return state.l, expiry
  end
end

-- Ends the lease, whoever holds it, and tells those who wait. Who may not publish loses the message, not the change.
local function end_lease(state)
  if not (state.l or state.x or state.w) then return end
  redis.call('HDEL', STATE, 'l', 'x', 'w')
  if state.w then redis.pcall('PUBLISH', VALUE .. '/w', '1') end
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

-- Stores the entry with the time stamped between its two parts. Where that fails (no memory), no older value stays
-- either, and the error is the answer. An entry too short for a stamp comes as the second part alone.
local function store(first, rest, ttl, now)
  local entry = rest
  if #first > 0 then entry = first .. struct.pack('<I8', now) .. rest end
  local done = redis.pcall('SET', VALUE, entry, 'PX', ttl)
  if done.err then
    redis.call('UNLINK', VALUE)
    return done
  end
end

-- Mark objects that no record points to as being deleted. KEYS: garbage, uploads.
-- ARGV: how many of each at most, garbage that is older than this moment, uploads that began before that one and have been
-- given up, prefix of audio records.
-- Returns the object keys to delete. What turns out to be in use is left alone.
local doomed = {}
local function look(found)
  for _, object in ipairs(found) do
    local record = ARGV[4] .. (string.match(object, '([^/]+)%.[^.]*$') or object) -- shared/audio_address.py: audio_key
    local audio = redis.call('GET', record)
    local began = tonumber(redis.call('ZSCORE', KEYS[2], object) or '0')
    if audio and audio ~= 'deleting' then
      redis.call('ZREM', KEYS[1], object)
      redis.call('ZREM', KEYS[2], object)
    elseif began <= tonumber(ARGV[3]) then
      redis.call('SET', record, 'deleting', 'EX', 600)
      redis.call('ZREM', KEYS[2], object)
      redis.call('ZADD', KEYS[1], 'NX', began, object)
      doomed[#doomed + 1] = object
    end
  end
end
look(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[1]))
look(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'LIMIT', 0, ARGV[1]))
return doomed

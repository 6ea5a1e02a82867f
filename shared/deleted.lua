-- The same audio may be made again: these objects are gone, or could not be deleted. KEYS: garbage, uploads.
-- ARGV: prefix of audio records, '' or the moment from which on deleting them is tried again, object keys.
for n = 3, #ARGV do
  local record = ARGV[1] .. (string.match(ARGV[n], '([^/]+)%.[^.]*$') or ARGV[n]) -- shared/audio_address.py: audio_key
  if redis.call('GET', record) == 'deleting' then redis.call('DEL', record) end
  if ARGV[2] == '' then
    redis.call('ZREM', KEYS[1], ARGV[n])
    redis.call('ZREM', KEYS[2], ARGV[n])
  else
    redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[n])
  end
end

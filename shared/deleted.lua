-- These objects are gone: the same audio may be made again. KEYS: garbage, uploads.
-- ARGV: prefix of audio records, object keys.
for n = 2, #ARGV do
  local record = ARGV[1] .. string.match(ARGV[n], '([^/]+)%.[^.]*$')
  if redis.call('GET', record) == 'deleting' then redis.call('DEL', record) end
  redis.call('ZREM', KEYS[1], ARGV[n])
  redis.call('ZREM', KEYS[2], ARGV[n])
end

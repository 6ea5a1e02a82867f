-- Give up the right to make audio. KEYS: claim, uploads. ARGV: holder, object key, '1' if its object may have been stored.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  if ARGV[3] ~= '1' then redis.call('ZREM', KEYS[2], ARGV[2]) end
end

-- Forget audio whose object is gone or damaged; what is left of the object is garbage. KEYS: audio record, garbage.
-- ARGV: SHA-256 of the audio that was lost, now. Other audio, made meanwhile, is left alone.
local audio = redis.call('GET', KEYS[1])
if audio and audio ~= 'deleting' then
  audio = cjson.decode(audio)
  if audio.sha256 == ARGV[1] then
    redis.call('DEL', KEYS[1])
    redis.call('ZADD', KEYS[2], ARGV[2], audio.key)
  end
end

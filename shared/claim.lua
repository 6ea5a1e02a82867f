-- Find audio, or claim the right to make it. KEYS: audio record, claim, uploads.
-- ARGV: holder, milliseconds that the claim lasts, object key, now.
-- Returns the record; else 'deleting', 'held' by another, or 'ours'.
local audio = redis.call('GET', KEYS[1])
if audio then return audio end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 'held' end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
return 'ours'

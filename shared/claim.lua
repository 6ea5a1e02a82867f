-- Find audio, or claim the right to make it. KEYS: audio record, claim, uploads.
-- ARGV: step, token of its holder, milliseconds that the claim lasts, object key, now.
-- Returns the record; else 'deleting', 'held' by another step, or 'ours'. Who takes a step over takes its claim over.
local audio = redis.call('GET', KEYS[1])
if audio then return audio end
local holder = redis.call('GET', KEYS[2])
if holder and string.sub(holder, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return 'held' end
redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[4])
return 'ours'

-- Take a token of a bucket, which is one number: when it will be full again (GCRA).
-- KEYS[1] the bucket, ARGV[1] seconds from token to token, ARGV[2] how many it holds.
-- Returns 1 taken or 0 not, how many are left, and milliseconds: until there is one, until it is full.
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = full + interval - now - burst * interval
if wait > 0.000001 then
  return {0, 0, math.ceil(wait * 1000), math.ceil((full - now) * 1000)}
end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.6f', full), 'PX', math.ceil((full - now) * 1000))
local left = burst - (full - now) / interval
return {1, math.floor(left + 0.000001), left < 1 and math.ceil((1 - left) * interval * 1000) or 0, math.ceil((full - now) * 1000)}

-- Drop a job's hold on audio. KEYS: the audio records; ARGV[1]: job id.
-- Returns the records that no job holds any more; each is marked so that nobody stores it while it is deleted.
local orphans = {}
for _, key in ipairs(KEYS) do
  redis.call('SREM', key .. ':jobs', ARGV[1])
  local record = redis.call('GET', key)
  if record and record ~= 'deleting' and redis.call('SCARD', key .. ':jobs') == 0 then
    redis.call('SET', key, 'deleting', 'EX', 60)
    orphans[#orphans + 1] = record
  end
end
return orphans

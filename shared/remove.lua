-- Let go of a job's audio, and expire or forget the job, if it is still as it was read.
-- ARGV[1], JSON: {job = {key, was, id}, holds = {audio keys}, garbage = {key, now}, commands = {{...}, ...},
--                 told = what told.lua says, shares = {what share.lua says, ...}}.
-- Returns the keys of the objects that nobody needs any more; nil if the job had changed before.
-- The record of each says so: nobody stores or finds that audio until its object is deleted.
local removal = cjson.decode(ARGV[1])
if (redis.call('GET', removal.job[1]) or '') ~= removal.job[2] then return false end

local orphans = {}
for _, key in ipairs(removal.holds) do
  redis.call('SREM', key .. ':jobs', removal.job[3])
  local record = redis.call('GET', key)
  if record and record ~= 'deleting' and redis.call('SCARD', key .. ':jobs') == 0 then
    local object = cjson.decode(record).key
    redis.call('SET', key, 'deleting', 'EX', 600)
    redis.call('ZADD', removal.garbage[1], removal.garbage[2], object)
    orphans[#orphans + 1] = object
  end
end
for _, command in ipairs(removal.commands) do redis.call(unpack(command)) end
for _, share in ipairs(removal.shares or {}) do take_share(share, {}) end
tell(removal.told)
return orphans

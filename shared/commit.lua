-- Change a job and one of its steps if both are still as they were read; else change nothing.
-- ARGV[1], JSON: {job = {key, was}, step = {key, name, was}, stores = {{audio key, uploading key, object key}},
--                 commands = {{...}, ...}, once = {key, value, ttl}, queue = {keys},
--                 shares = {what share.lua says, ...}, limits = {{limit = n, wanted = n, used = {{...}, ...}}, ...},
--                 started = {waiting key, member, lane key}, drained = {lane key, since, service_seconds, now}, told = what told.lua says};
-- `was` is "" for what did not exist.
-- Returns {1} changed, {0} something had changed before, {-1} the audio is not there any more, or is being deleted,
-- {-2, which limit is exceeded, what is used of it}, or {the value that `once` has already}. Changed it is
-- {1, what was used of each limit, what is to be sent now}, with `queue` the length of these sorted sets instead of 1.
local change = cjson.decode(ARGV[1])

if change.once then
  local taken = redis.call('GET', change.once[1])
  if taken then return {taken} end
end

if (redis.call('GET', change.job[1]) or '') ~= change.job[2] then return {0} end
if change.step and (redis.call('HGET', change.step[1], change.step[2]) or '') ~= change.step[3] then return {0} end
for _, store in ipairs(change.stores or {}) do -- found by the worker, or claimed before it was stored
  local audio = redis.call('GET', store[1])
  if audio == 'deleting' or not (audio or redis.call('ZSCORE', store[2], store[3])) then return {-1} end
end

-- What is used of each limit: the sum of what these commands tell. Nothing is used by what is refused.
local all_used, ready = {}, {}
for number, each in ipairs(change.limits or {}) do
  local used = 0
  for _, command in ipairs(each.used) do used = used + tonumber(redis.call(unpack(command)) or '0') end
  if used + each.wanted > each.limit then return {-2, number, used} end
  all_used[number] = used
end

if change.once then redis.call('SET', change.once[1], change.once[2], 'EX', change.once[3]) end

-- How far the lane is: the latest arrival among the steps that were started.
if change.started then
  local arrived = tonumber(redis.call('ZSCORE', change.started[1], change.started[2]) or '0')
  if arrived > tonumber(redis.call('HGET', change.started[3], 'front') or '0') then
    redis.call('HSET', change.started[3], 'front', tostring(arrived))
  end
end

for _, command in ipairs(change.commands) do redis.call(unpack(command)) end
for _, share in ipairs(change.shares or {}) do take_share(share, ready) end
tell(change.told)

-- How fast the lane drains: moving means over about the last 20 finished steps.
if change.drained then
  local key, since, service, now = unpack(change.drained)
  local load = redis.call('HMGET', key, 'last', 'gap', 'service', 'count')
  local count = tonumber(load[4] or '0')
  local weight = math.max(1 / (count + 1), 0.05)
  local gap = math.max(now - math.max(tonumber(load[1] or '0'), since), 0)
  local function mean(old, new) return tostring((1 - weight) * tonumber(old or '0') + weight * new) end
  redis.call('HSET', key, 'last', tostring(now), 'gap', mean(load[2], gap),
    'service', mean(load[3], service), 'count', count + 1)
end
local length = 0
for _, queue in ipairs(change.queue or {}) do length = length + redis.call('ZCARD', queue) end
return {change.queue and length or 1, all_used, ready}

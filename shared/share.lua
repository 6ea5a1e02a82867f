-- A tenant's share of a lane: at most so many of its steps wait in the broker's queue, the rest is parked here, in order.
--   waiting:<lane>        all that wait in the queue, by when they were sent      sent:<lane>:<tenant>  the tenant's of these
--   parked:<lane>           all that are parked, by when they arrived                 parked:<lane>:<tenant>  the tenant's of these
--   parking:<lane>        the tenants of which some are parked
-- share = {lane, tenant, window, now, left = {steps that wait no longer}, back = {steps that wait in the queue again},
--          arrivals = {when, step, when, step, ...}}
-- Appends what is to be sent now to `ready`, as lane and step in turn.
local function take_share(share, ready)
  local of = share.lane .. ':' .. share.tenant
  local sent, parked, all = 'sent:' .. of, 'parked:' .. of, 'parked:' .. share.lane
  for _, step in ipairs(share.left or {}) do
    if redis.call('SREM', sent, step) == 0 and redis.call('ZREM', parked, step) == 1 then redis.call('ZREM', all, step) end
  end
  for _, step in ipairs(share.back or {}) do
    redis.call('SADD', sent, step)
    if redis.call('ZREM', parked, step) == 1 then redis.call('ZREM', all, step) end
  end
  local arrivals = share.arrivals or {}
  for i = 1, #arrivals, 2 do
    redis.call('ZADD', parked, arrivals[i], arrivals[i + 1])
    redis.call('ZADD', all, arrivals[i], arrivals[i + 1])
  end
  if redis.call('EXISTS', parked) == 1 then
    local room = share.window - redis.call('SCARD', sent)
    local next = room > 0 and redis.call('ZPOPMIN', parked, room) or {}
    for i = 1, #next, 2 do
      redis.call('ZREM', all, next[i])
      redis.call('SADD', sent, next[i])
      redis.call('ZADD', 'waiting:' .. share.lane, share.now, next[i])
      ready[#ready + 1], ready[#ready + 2] = share.lane, next[i]
    end
  end
  if #arrivals > 0 or #(share.left or {}) + #(share.back or {}) > 0 or #ready > 0 then
    local some = redis.call('EXISTS', parked) == 1
    redis.call(some and 'SADD' or 'SREM', 'parking:' .. share.lane, share.tenant)
  end
end

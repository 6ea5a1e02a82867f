-- A tenant's share of a lane: at most so many of its steps wait in the broker's queue, the rest is parked here, in order.
--   waiting:<lane>        all that wait in the queue, by when they were sent      sent:<lane>:<tenant>  the tenant's of these
--   parked:<lane>         all that are parked, by when they arrived           parked:<lane>:<tenant>  the tenant's of these, by turn
--   parking:<lane>        the tenants of which some are parked                turns:<lane>:<tenant>   the turn that it is, and each flow's last
-- share = {lane, tenant, window, now, left = {steps that wait no longer}, back = {steps that wait in the queue again},
--          arrivals = {when, step, when, step, ...}, flow}
-- A flow is a long text, a book or a batch: its steps take turns with those of the tenant's other flows, and what belongs to
-- none is next. (Start-time fair queueing, Goyal et al. 1996: a flow that comes later begins at the turn that it is.)
-- Appends what is to be sent now to `ready`, as lane and step in turn.
local function take_share(share, ready)
  local of = share.lane .. ':' .. share.tenant
  local sent, parked, all, waiting = 'sent:' .. of, 'parked:' .. of, 'parked:' .. share.lane, 'waiting:' .. share.lane
  local turns = 'turns:' .. of
  local function unpark(step)
    if redis.call('ZREM', parked, step) == 1 then redis.call('ZREM', all, step) end
  end
  local function send(step)
    redis.call('SADD', sent, step)
    redis.call('ZADD', waiting, share.now, step)
    ready[#ready + 1], ready[#ready + 2] = share.lane, step
  end

  local had_some = redis.call('EXISTS', parked) == 1
  for _, step in ipairs(share.left or {}) do
    if redis.call('SREM', sent, step) == 0 and had_some then unpark(step) end
  end
  for _, step in ipairs(share.back or {}) do
    redis.call('SADD', sent, step)
    if had_some then unpark(step) end
  end

  local arrivals = share.arrivals or {}
  if not had_some and #arrivals == 0 then return end
  local room = share.window - redis.call('SCARD', sent)
  if had_some and room > 0 then
    local next = redis.call('ZPOPMIN', parked, room)
    for i = 1, #next, 2 do
      redis.call('ZREM', all, next[i])
      send(next[i])
      room = room - 1
    end
    if #next > 0 then redis.call('HSET', turns, 'now', next[#next]) end
  end
  local some = redis.call('EXISTS', parked) == 1
  if not some then redis.call('DEL', turns) end
  local turn = tonumber(redis.call('HGET', turns, 'now') or '0')
  if share.flow then turn = math.max(turn, tonumber(redis.call('HGET', turns, share.flow) or '0')) end
  for i = 1, #arrivals, 2 do
    if room > 0 and not some then
      send(arrivals[i + 1])
      room = room - 1
    else
      if share.flow or i == 1 then turn = turn + 1 end
      redis.call('ZADD', parked, turn, arrivals[i + 1])
      redis.call('ZADD', all, arrivals[i], arrivals[i + 1])
      some = true
    end
  end
  if share.flow and some and #arrivals > 0 then redis.call('HSET', turns, share.flow, turn) end
  if some ~= had_some then redis.call(some and 'SADD' or 'SREM', 'parking:' .. share.lane, share.tenant) end
end

-- Send what a tenant's share has room for: the sweeper's net, for what nobody sent.
-- ARGV[1], JSON: a share. Steps that no longer wait take no room.
local share, ready = cjson.decode(ARGV[1]), {}
local sent = 'sent:' .. share.lane .. ':' .. share.tenant
for _, step in ipairs(redis.call('SMEMBERS', sent)) do
  if not redis.call('ZSCORE', 'waiting:' .. share.lane, step) then redis.call('SREM', sent, step) end
end
take_share(share, ready)
return ready

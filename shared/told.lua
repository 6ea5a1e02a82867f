-- Put before the scripts that end jobs. Record for webhooks that a job has ended, if anybody may want to hear of it:
-- the job has a URL of its own, or its tenant has webhooks. The text is not copied, nor what repeats it.
-- told = {own, hooks = key, fields = {...}, record = {key, ttl}, due = {key, score, member},
--         reads = {job key, request key, audio key}}
local function tell(told)
  if not told or not (told.own or redis.call('EXISTS', told.hooks) == 1) then return end
  local function without_text(key)
    local raw = redis.call('GET', key)
    if not raw or raw == 'deleting' then return '' end
    local record = cjson.decode(raw)
    record.text, record.words, record.phonemes = nil, nil, nil
    return cjson.encode(record)
  end
  local key, seconds = unpack(told.record)
  local job, request, audio = unpack(told.reads)
  redis.call('HSET', key, 'job', redis.call('GET', job), 'request', without_text(request), 'audio', without_text(audio),
    unpack(told.fields))
  redis.call('EXPIRE', key, seconds)
  redis.call('ZADD', unpack(told.due))
end

"""How library voices are written in Redis: names of keys, records, and the scripts that change them."""

import json
import time
from dataclasses import asdict
from typing import Any

from shared import records
from shared.voice_library import Consent, LibraryVoice, VoiceState

# What the sweeper has to look at, by when: voices, by id; former clips, by reference and SHA-256.
DUE = "voices:due"
LOOK_SECONDS = 60.0  # after which a clip that is still being checked, or came with a job, is looked after
WORK_SECONDS = 3600.0  # by then whoever was at work with a voice has ended, and stored what it had

# Write the record if it is as it was read, with its indexes.
# KEYS: voice, its tenant's voices, due, its tenant's default voice.
# ARGV: was, new, id, whether it is listed, look at it when or "", a former clip or "", when to look at that.
WRITE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[4] == '1' then redis.call('ZADD', KEYS[2], 0, ARGV[3]) else redis.call('ZREM', KEYS[2], ARGV[3]) end
if ARGV[4] ~= '1' and redis.call('GET', KEYS[4]) == ARGV[3] then redis.call('DEL', KEYS[4]) end
if ARGV[5] == '' then redis.call('ZREM', KEYS[3], ARGV[3]) else redis.call('ZADD', KEYS[3], ARGV[5], ARGV[3]) end
if ARGV[6] ~= '' then redis.call('ZADD', KEYS[3], ARGV[7], ARGV[6]) end
return 1
"""

# Note that audio is about to be stored, unless a voice is not any more what it was when the audio was asked for.
# KEYS: voices, then their indexes. ARGV: key of the object, now, the voices' revisions.
# Returns 0, or which of the voices it is.
MADE = """
local n = #KEYS / 2
for i = 1, n do
  local voice = redis.call('GET', KEYS[i])
  voice = voice and cjson.decode(voice)
  if not voice or voice.over or voice.revision ~= tonumber(ARGV[2 + i]) then return i end
end
for i = 1, n do redis.call('ZADD', KEYS[n + i], ARGV[2], ARGV[1]) end
return 0
"""

# A voice does not use the clip any more. KEYS: its users, its embeddings. ARGV: voice. Returns whether nobody does.
LEAVE = """
redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('SCARD', KEYS[1]) > 0 then return 0 end
redis.call('DEL', KEYS[2])
return 1
"""

# Nobody finds the audio that was spoken with a voice any more, nor stores the same, until its objects are deleted.
# KEYS: its index, garbage. ARGV: first and last place in the index, prefix of audio records, now.
# Returns the keys of the objects.
DOOM = """
local objects = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])
for _, object in ipairs(objects) do
  local address = string.match(object, '([^/]+)%.[^.]*$') or object -- shared/audio_address.py: audio_key
  redis.call('SET', ARGV[3] .. address, 'deleting', 'EX', 600)
  redis.call('ZADD', KEYS[2], ARGV[4], object)
end
return objects
"""


def voice_key(voice_id: str) -> str:
    return f"voice:{voice_id}"


def voices_key(tenant: str) -> str:
    """The ids of a tenant's voices."""
    return records.of_tenant(tenant, "voices")


def default_key(tenant: str) -> str:
    """The voice that speaks the tenant's texts which name none."""
    return records.of_tenant(tenant, "default_voice")


def audio_key(voice_id: str, revision: int) -> str:
    """Keys of the objects with audio that was spoken with it, by when."""
    return f"voice:{voice_id}:audio:{revision}"


def users_key(clip_sha256: str) -> str:
    """The voices that are made of the same clip."""
    return f"clip:{clip_sha256}:voices"


def embeddings_key(clip_sha256: str) -> str:
    """A clip's speaker embeddings, by the keys of their objects."""
    return f"clip:{clip_sha256}:embeddings"


def dump(voice: LibraryVoice) -> str:
    return json.dumps(asdict(voice), ensure_ascii=False, separators=(",", ":"))


def load(raw: str) -> LibraryVoice:
    fields: dict[str, Any] = json.loads(raw)
    consent: dict[str, Any] | None = fields.pop("consent")
    return LibraryVoice(
        consent=Consent(**consent) if consent else None, problems=tuple(fields.pop("problems")), **fields
    )


def write_arguments(raw: str, voice: LibraryVoice) -> dict[str, list[Any]]:
    listed = int(not voice.over and not voice.brought_by)
    over, later = _over(raw, voice), time.time() + WORK_SECONDS
    return {
        "keys": [voice_key(voice.id), voices_key(voice.tenant), DUE, default_key(voice.tenant)],
        "args": [raw, dump(voice), voice.id, listed, _due(voice), over, later],
    }


def _due(voice: LibraryVoice) -> str:
    if voice.over:
        return str(voice.touched_at)
    waits = bool(voice.brought_by) or voice.state is VoiceState.CHECKING
    return str(voice.touched_at + LOOK_SECONDS) if waits else ""


def _over(raw: str, voice: LibraryVoice) -> str:
    was = load(raw) if raw else voice
    return f"{was.reference} {was.clip_sha256}" if was.revision != voice.revision else ""


def sha256_of(embedding: str) -> str:
    """Return whose embedding an object is, by its key (shared.voice_library.embedding_key)."""
    return embedding.removeprefix("embeddings/").partition(".")[0]


def doom_arguments(voice_id: str, revision: int, first: int, most: int) -> dict[str, list[Any]]:
    keys = [audio_key(voice_id, revision), records.GARBAGE]
    return {"keys": keys, "args": [first, first + most - 1, records.audio_record_key(""), time.time()]}

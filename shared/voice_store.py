"""Library voices in Redis: the workers' and the sweeper's store, and the gateway's.

A change is one compare-and-set of the whole record.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, replace
from functools import cache
from typing import Any, Protocol

from redis.exceptions import LockError

from shared import records
from shared.errors import VoiceDeleted
from shared.job_store import hasty_client, patient_client, translated
from shared.voice_library import Consent, LibraryVoice, VoiceState, parse

# What the sweeper has to look at, by when: voices, by id; former clips, by reference and SHA-256.
DUE = "voices:due"
LOOK_SECONDS = 60.0  # after which a clip that is still being checked, or came with a job, is looked after
WORK_SECONDS = 3600.0  # by then whoever was at work with a voice has ended, and stored what it had

# Write the record if it is as it was read, with its indexes.
# KEYS: voice, its tenant's voices, due. ARGV: was, new, id, whether it is listed, look at it when or "",
#   a former clip or "", when to look at that.
WRITE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[4] == '1' then redis.call('ZADD', KEYS[2], 0, ARGV[3]) else redis.call('ZREM', KEYS[2], ARGV[3]) end
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

Decide = Callable[[LibraryVoice], LibraryVoice | None]  # None: leave it as it is


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


def _arguments(raw: str, voice: LibraryVoice) -> dict[str, list[Any]]:
    listed = int(not voice.over and not voice.brought_by)
    over, later = _over(raw, voice), time.time() + WORK_SECONDS
    return {
        "keys": [voice_key(voice.id), voices_key(voice.tenant), DUE],
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


def _sha256(embedding: str) -> str:
    """Return whose embedding an object is, by its key (shared.voice_library.embedding_key)."""
    return embedding.removeprefix("embeddings/").partition(".")[0]


def is_own(voice: LibraryVoice | None, tenant: str) -> bool:
    """Whether the tenant may name the voice; one that is being deleted, or came with a job, is as good as none."""
    return voice is not None and voice.tenant == tenant and not voice.over and not voice.brought_by


def library_of(tenant: str, voices: "Voices | None") -> Callable[[str], LibraryVoice | None]:
    """Return how to look up a voice of the tenant's own. Each is looked up once: it is for a piece of work, not longer.

    Args:
        voices: None where there is no library.
    """

    @cache
    def found(voice_id: str) -> LibraryVoice | None:
        voice = voices.get(voice_id) if voices else None
        return voice if is_own(voice, tenant) else None

    return found


class Voices(Protocol):
    """What a worker asks of the voices' store."""

    def get(self, voice_id: str) -> LibraryVoice | None: ...

    def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None: ...

    def embedding(self, key: str) -> tuple[float, ...] | None: ...

    def keep_embedding(self, key: str, numbers: Sequence[float]) -> None: ...

    def using(self, clip_sha256: str, voice_id: str) -> None: ...

    def leave_clip(self, voice: LibraryVoice) -> bool: ...

    def held(self, name: str, seconds: float) -> AbstractContextManager[Callable[[], None] | None]:
        """Within the context nobody else holds that name.

        Yields:
            what holds it for as many seconds more; None if somebody else holds it.
        """
        ...

    def made(self, references: Iterable[str], key: str) -> None: ...


class RedisVoices:
    """The workers' and the sweeper's side. Calls wait out a restart of Redis."""

    def __init__(self, url: str) -> None:
        self._redis: Any = patient_client(url)
        self._write = self._redis.register_script(WRITE)
        self._made = self._redis.register_script(MADE)
        self._leave = self._redis.register_script(LEAVE)
        self._doom = self._redis.register_script(DOOM)

    def get(self, voice_id: str) -> LibraryVoice | None:
        with translated():
            raw = self._redis.get(voice_key(voice_id))
        return load(raw) if raw else None

    def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None:
        """Apply `decide` to the voice as it is, until no other change comes between; return it as it is then."""
        with translated():
            while raw := self._redis.get(voice_key(voice_id)):
                voice = load(raw)
                changed = decide(voice)
                if changed is None or changed == voice:
                    return voice
                changed = replace(changed, touched_at=time.time())
                if self._write(**_arguments(raw, changed)):
                    return changed
        return None

    def embedding(self, key: str) -> tuple[float, ...] | None:
        """Return what is known by that key of shared.voice_library.embedding_key."""
        with translated():
            raw = self._redis.hget(embeddings_key(_sha256(key)), key)
        return tuple(json.loads(raw)) if raw else None

    def keep_embedding(self, key: str, numbers: Sequence[float]) -> None:
        """Keep a clip's embedding, by the key of its object. Tell first who uses the clip: it goes with the last."""
        with translated():
            self._redis.hset(embeddings_key(_sha256(key)), key, json.dumps(list(numbers)))

    def using(self, clip_sha256: str, voice_id: str) -> None:
        """The voice is made of that clip."""
        with translated():
            self._redis.sadd(users_key(clip_sha256), voice_id)

    def leave_clip(self, voice: LibraryVoice) -> bool:
        """The voice does not use its clip any more; whether nobody does, so that its embeddings have to go."""
        keys = [users_key(voice.clip_sha256), embeddings_key(voice.clip_sha256)]
        with translated():
            return bool(self._leave(keys=keys, args=[voice.id]))

    @contextmanager
    def held(self, name: str, seconds: float) -> Generator[Callable[[], None] | None]:
        lock = self._redis.lock(f"lock:{name}", timeout=seconds, thread_local=False)

        def hold_on() -> None:
            with translated(), suppress(LockError):  # it was let go of, or has run out
                lock.reacquire()

        with translated():
            ours: bool = lock.acquire(blocking=False)
        try:
            yield hold_on if ours else None
        finally:
            if ours:
                with translated(), suppress(LockError):
                    lock.release()

    def made(self, references: Iterable[str], key: str) -> None:
        """Note, before it is stored, that the object has audio spoken with these voices: it goes with each of them.

        Args:
            references: as requests name them: with their revisions.

        Raises:
            VoiceDeleted: one of them is not there any more, or has another clip.
        """
        named = [parse(reference) for reference in references]
        if not named:
            return
        keys = [voice_key(voice_id) for voice_id, _ in named]
        keys += [audio_key(voice_id, revision) for voice_id, revision in named]
        revisions = [revision for _, revision in named]
        with translated():
            gone: int = self._made(keys=keys, args=[key, time.time(), *revisions])
        if gone:
            raise VoiceDeleted(named[gone - 1][0])

    def doom(self, voice_id: str, revision: int, *, first: int, most: int) -> list[str]:
        """Let go of audio that was spoken with it, from a place in its index on; return the keys of the objects.

        The caller deletes them, and tells the job store; what it does not come to, the sweeper does.
        """
        with translated():
            return self._doom(**_doomed(voice_id, revision, first, most))

    def forget_revision(self, voice_id: str, revision: int) -> None:
        """Forget which audio was spoken with a former clip; it is gone."""
        with translated():
            self._redis.delete(audio_key(voice_id, revision))

    def due(self, *, now: float, limit: int) -> list[str]:
        """Return what the sweeper has to look at: voices, by id, and former clips, by reference and SHA-256."""
        with translated():
            return self._redis.zrange(DUE, "-inf", now, byscore=True, offset=0, num=limit)

    def look_later(self, name: str, at: float) -> None:
        with translated():
            self._redis.zadd(DUE, {name: at}, xx=True)

    def unlisted(self, name: str) -> None:
        """There is nothing to look at any more."""
        with translated():
            self._redis.zrem(DUE, name)

    def forget(self, voice: LibraryVoice) -> None:
        """Forget a voice; its objects and jobs are gone."""
        with translated(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(voice_key(voice.id))
            pipeline.delete(*(audio_key(voice.id, revision) for revision in range(1, voice.revision + 1)))
            of_jobs = (records.counts_key, records.children_key, records.events_key)
            pipeline.delete(*(key(voice.uuid) for key in of_jobs))
            pipeline.zrem(voices_key(voice.tenant), voice.id)
            pipeline.zrem(DUE, voice.id)
            pipeline.execute()


class AsyncVoices(Protocol):
    """What the gateway asks of the voices' store."""

    async def create(self, voice: LibraryVoice) -> bool: ...

    async def get(self, voice_id: str) -> LibraryVoice | None: ...

    async def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None: ...

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[LibraryVoice]: ...

    async def count(self, tenant: str) -> int: ...

    async def default(self, tenant: str) -> str:
        """Return the voice that speaks the tenant's texts which name none; "" if nobody has chosen one."""
        ...

    async def set_default(self, tenant: str, voice: str) -> None: ...

    async def leave_clip(self, voice: LibraryVoice) -> bool:
        """The voice does not use its clip any more; whether nobody does, so that its embeddings have to go."""
        ...

    async def doom(self, voice_id: str, revision: int, *, first: int, most: int) -> list[str]:
        """Let go of audio that was spoken with it, from a place in its index on; return the keys of the objects.

        The caller deletes them, and tells the job store; what it does not come to, the sweeper does.
        """
        ...


class AsyncRedisVoices:
    """The gateway's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)
        self._write = self._redis.register_script(WRITE)
        self._leave = self._redis.register_script(LEAVE)
        self._doom = self._redis.register_script(DOOM)

    async def create(self, voice: LibraryVoice) -> bool:
        """Record a new voice; whether its id was free."""
        with translated():
            return bool(await self._write(**_arguments("", replace(voice, touched_at=time.time()))))

    async def get(self, voice_id: str) -> LibraryVoice | None:
        with translated():
            raw = await self._redis.get(voice_key(voice_id))
        return load(raw) if raw else None

    async def change(self, voice_id: str, decide: Decide) -> LibraryVoice | None:
        """Apply `decide` to the voice as it is, until no other change comes between; return it as it is then."""
        with translated():
            while raw := await self._redis.get(voice_key(voice_id)):
                voice = load(raw)
                changed = decide(voice)
                if changed is None or changed == voice:
                    return voice
                changed = replace(changed, touched_at=time.time())
                if await self._write(**_arguments(raw, changed)):
                    return changed
        return None

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[LibraryVoice]:
        """Voices of the tenant from the newest to the oldest, beginning after the voice `before`."""
        newest = f"({before}" if before else "+"
        with translated():
            ids: Sequence[str] = await self._redis.zrange(
                voices_key(tenant), newest, "-", desc=True, bylex=True, offset=0, num=limit
            )
            raw: list[str | None] = await self._redis.mget([voice_key(one) for one in ids]) if ids else []
        return [load(one) for one in raw if one]

    async def count(self, tenant: str) -> int:
        with translated():
            return await self._redis.zcard(voices_key(tenant))

    async def default(self, tenant: str) -> str:
        with translated():
            return await self._redis.get(default_key(tenant)) or ""

    async def set_default(self, tenant: str, voice: str) -> None:
        key = default_key(tenant)
        with translated():
            await (self._redis.set(key, voice) if voice else self._redis.delete(key))

    async def leave_clip(self, voice: LibraryVoice) -> bool:
        keys = [users_key(voice.clip_sha256), embeddings_key(voice.clip_sha256)]
        with translated():
            return bool(await self._leave(keys=keys, args=[voice.id]))

    async def doom(self, voice_id: str, revision: int, *, first: int, most: int) -> list[str]:
        with translated():
            return await self._doom(**_doomed(voice_id, revision, first, most))

    async def close(self) -> None:
        await self._redis.aclose()


def _doomed(voice_id: str, revision: int, first: int, most: int) -> dict[str, list[Any]]:
    keys = [audio_key(voice_id, revision), records.GARBAGE]
    return {"keys": keys, "args": [first, first + most - 1, records.audio_record_key(""), time.time()]}

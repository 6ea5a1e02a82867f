"""Library voices in Redis: the workers' and the sweeper's store, and the gateway's.

A change is one compare-and-set of the whole record.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from redis.exceptions import LockError

from shared import records
from shared.errors import VoiceDeleted
from shared.redis_clients import hasty_client, patient_client, translated
from shared.voice_library import LibraryVoice, parse
from shared.voice_records import (
    DOOM,
    DUE,
    LEAVE,
    MADE,
    WRITE,
    audio_key,
    default_key,
    doom_arguments,
    embeddings_key,
    load,
    sha256_of,
    users_key,
    voice_key,
    voices_key,
    write_arguments,
)

Decide = Callable[[LibraryVoice], LibraryVoice | None]  # None: leave it as it is


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
                if self._write(**write_arguments(raw, changed)):
                    return changed
        return None

    def embedding(self, key: str) -> tuple[float, ...] | None:
        """Return what is known by that key of shared.voice_library.embedding_key."""
        with translated():
            raw = self._redis.hget(embeddings_key(sha256_of(key)), key)
        return tuple(json.loads(raw)) if raw else None

    def keep_embedding(self, key: str, numbers: Sequence[float]) -> None:
        """Keep a clip's embedding, by the key of its object. Tell first who uses the clip: it goes with the last."""
        with translated():
            self._redis.hset(embeddings_key(sha256_of(key)), key, json.dumps(list(numbers)))

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
            return self._doom(**doom_arguments(voice_id, revision, first, most))

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
            return bool(await self._write(**write_arguments("", replace(voice, touched_at=time.time()))))

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
                if await self._write(**write_arguments(raw, changed)):
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
            return await self._doom(**doom_arguments(voice_id, revision, first, most))

    async def close(self) -> None:
        await self._redis.aclose()

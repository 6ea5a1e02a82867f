"""Speech on its way to who listens while it is spoken: the worker adds pieces, the gateway reads them. In Redis.

Only the first segment of a job is live. What follows, and what Redis does not have, is read from the object store. A
piece tells how many samples are before it, so that a reader neither misses one nor hears it twice, whoever added it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared import records
from shared.jobs import Audio, Job
from shared.redis_clients import hasty_client, patient_client, translated

SPEAKING_SECONDS = 600  # how long pieces stay after the latest of them, while more may come: the longest utterance
SPOKEN_SECONDS = 60  # and after the last: then the audio is stored
PIECES_AT_ONCE = 4  # a reader takes so many, and comes again for the next when these are sent
LISTENING_SECONDS = 10.0  # a listener whose gateway died counts for so long


@dataclass(frozen=True)
class LivePiece:
    """Some of the first segment's samples."""

    at: int  # how many samples of the segment are before it
    samples: bytes  # 16 bit little endian
    sample_rate: int
    last: bool


@dataclass(frozen=True)
class Look:
    """What there is of a job now."""

    job: Job | None
    pieces: Sequence[LivePiece]
    latest: str  # names the last of them; look after it next time


class LiveSpeech(Protocol):
    """The worker's side."""

    def add(self, job_id: str, piece: LivePiece) -> None:
        """Add the next piece, and wake who listens.

        Raises:
            StoreUnavailable: Redis is away; whoever listens hears it from the object store, later.
        """
        ...


class AsyncLiveSpeech(Protocol):
    """The gateway's side."""

    async def look(self, job_id: str, *, after: str) -> Look: ...

    async def segment(self, job_id: str, number: int) -> tuple[Audio | None, float]:
        """Return the stored audio of a segment, if there is some, and the seconds of silence that follow it."""
        ...

    async def listen(self, job_id: str, listener: str) -> None:
        """Note that somebody listens to the job; to be repeated within LISTENING_SECONDS."""
        ...

    async def leave(self, job_id: str, listener: str) -> int:
        """The listener is gone; return how many are left."""
        ...


class RedisLiveSpeech:
    """The worker's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = patient_client(url)

    def add(self, job_id: str, piece: LivePiece) -> None:
        key = records.live_key(job_id)
        fields = {"at": piece.at, "rate": piece.sample_rate, "last": int(piece.last), "samples": piece.samples}
        with translated(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xadd(key, fields)
            pipeline.expire(key, SPOKEN_SECONDS if piece.last else SPEAKING_SECONDS)
            pipeline.publish(records.CHANGED, job_id)
            pipeline.execute()


class AsyncRedisLiveSpeech:
    """The gateway's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)

    async def look(self, job_id: str, *, after: str) -> Look:
        arguments = [records.live_key(job_id), f"({after}" if after else "-", "+", "COUNT", PIECES_AT_ONCE]
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.get(records.job_key(job_id))
                pipeline.execute_command("XRANGE", *arguments, NEVER_DECODE=True)
                job, entries = await pipeline.execute()
        pieces = [_piece(fields) for _, fields in entries]
        latest = entries[-1][0].decode() if entries else after
        return Look(records.load_job(job) if job else None, pieces, latest)

    async def segment(self, job_id: str, number: int) -> tuple[Audio | None, float]:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hget(records.steps_key(job_id), str(number))
                pipeline.hget(records.segments_key(job_id), str(number))
                step, segment = await pipeline.execute()
            address = records.load_step(str(number), step).audio_address
            raw = await self._redis.get(records.audio_record_key(address)) if address else None
        pause_seconds = records.load_segment(segment).pause_seconds if segment else 0.0
        return (records.load_audio(raw) if raw and raw != "deleting" else None), pause_seconds

    async def listen(self, job_id: str, listener: str) -> None:
        key = records.listeners_key(job_id)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.zadd(key, {listener: time.time() + LISTENING_SECONDS})
                pipeline.expire(key, SPEAKING_SECONDS)
                await pipeline.execute()

    async def leave(self, job_id: str, listener: str) -> int:
        key = records.listeners_key(job_id)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.zrem(key, listener)
                pipeline.zcount(key, time.time(), "+inf")
                return (await pipeline.execute())[1]

    async def close(self) -> None:
        await self._redis.aclose()


def _piece(fields: dict[bytes, bytes]) -> LivePiece:
    return LivePiece(int(fields[b"at"]), fields[b"samples"], int(fields[b"rate"]), fields[b"last"] == b"1")

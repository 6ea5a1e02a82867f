"""The jobs of a book or a batch, its children: how workers make them, and how far they are.

A child has an id that follows from its parent's and its own name, so that making it twice makes it once. It is in no
list of its tenant's jobs, but in its parent's.
"""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from shared import records
from shared.changes import creation_argument, final_argument, reopening_argument, script
from shared.ended import job_ended
from shared.errors import QueueUnavailable
from shared.fair import NO_WINDOWS, NOTHING_GOES, Windows, ready_steps
from shared.job_store import CHANGED
from shared.jobs import Audio, Job, JobState, SpeechRequest, Step, reopened
from shared.ports import Reopened, StepRef
from shared.redis_clients import hasty_client, patient_client, translated

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1000  # records in one command


def child_id(parent: str, name: str) -> str:
    """Return the id of a parent's child: the time of the parent's UUIDv7, then a hash. Equal names, equal ids."""
    digest = hashlib.sha256(f"{parent}:{name}".encode()).digest()
    return str(uuid.UUID(bytes=uuid.UUID(parent).bytes[:6] + _versioned(digest)))


def _versioned(digest: bytes) -> bytes:
    """Return ten bytes with UUIDv7's version and variant (RFC 9562)."""
    ten = bytearray(digest[:10])
    ten[0], ten[2] = 0x70 | ten[0] & 0x0F, 0x80 | ten[2] & 0x3F
    return bytes(ten)


class RedisChildJobs:
    """The workers' and the sweeper's side. Calls wait out a restart of Redis."""

    def __init__(
        self, url: str, *, windows: Windows = NO_WINDOWS, send: Callable[[StepRef], None] | None = None
    ) -> None:
        """Args:
        windows, send: as of shared.job_store.RedisJobStore.
        """
        self._windows, self._send = windows, send
        self._redis: Any = patient_client(url)
        self._commit = self._redis.register_script(script("commit"))

    def create(self, job: Job, request: SpeechRequest) -> bool:
        """Record a child, and enqueue it if it is its turn; whether it was new."""
        if not job.parent:
            raise ValueError("only a child is made here")
        argument = creation_argument(job, request, key="", fingerprint="", windows=self._windows)
        with translated():
            reply, *more = self._commit(args=[argument])
        if reply == 0:  # it is there, and its message may not be
            return False
        self._send_ready(ready_steps(more[1]))
        return True

    def jobs(self, ids: Sequence[str]) -> list[Job | None]:
        """Return the records, in this order."""
        found: list[Job | None] = []
        with translated():
            for start in range(0, len(ids), MOST_AT_ONCE):
                raw: list[str | None] = self._redis.mget(
                    [records.job_key(one) for one in ids[start : start + MOST_AT_ONCE]]
                )
                found += [records.load_job(one) if one else None for one in raw]
        return found

    def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        """Return ids of children, by their ids, beginning after one."""
        with translated():
            first = f"({after}" if after else "-"
            return self._redis.zrange(records.children_key(parent), first, "+", bylex=True, offset=0, num=limit)

    def cancel(self, job_id: str) -> None:
        """Cancel a child unless it is finished."""
        with translated():
            while raw := self._redis.get(records.job_key(job_id)):
                job = records.load_job(raw)
                if job.finished:
                    return
                after = job.cancelled(now=time.time())
                windows = self._windows if self._send else NOTHING_GOES
                reply, *more = self._commit(args=[final_argument(raw, job, after, now=time.time(), windows=windows)])
                if reply == CHANGED:
                    job_ended(after)
                    self._send_ready(ready_steps(more[1]))
                    return

    def reopen(self, job_id: str) -> Reopened | None:
        """Have the audio of a child that succeeded made again, because it was lost; the caller enqueues its steps.

        Returns:
            the job and its steps; None if it is not there, or has not succeeded.
        """
        with translated():
            while raw := self._redis.get(records.job_key(job_id)):
                job = records.load_job(raw)
                if job.state is not JobState.SUCCEEDED:
                    return None
                stored: dict[str, str] = self._redis.hgetall(records.steps_key(job_id))
                found = {name: records.load_step(name, step) for name, step in stored.items()}
                again, names = reopened(job, found.values())
                again = replace(again, repairs=job.repairs + 1)
                left = [Step(name, counted=name in found and found[name].counted) for name in names]
                argument = reopening_argument(raw, job, again, left, now=time.time())
                if self._commit(args=[argument])[0] == CHANGED:
                    return Reopened(again, names)
        return None

    def _send_ready(self, ready: Sequence[StepRef]) -> None:
        for step in ready:
            if self._send is None:
                return
            try:
                self._send(step)
            except QueueUnavailable as error:
                log.warning("the sweeper has to send a step: %s", error)
                return


@dataclass(frozen=True)
class ParentNews:
    """What happened to a book or batch: a change of one of its jobs, or of its record."""

    id: str  # grows from one to the next, and begins with its time in Unix milliseconds
    data: dict[str, Any]


@dataclass(frozen=True)
class Spent:
    """What engines have spoken of a book, whatever became of the jobs."""

    segments: int = 0
    engine_seconds: float = 0.0


class AsyncChildJobs(Protocol):
    """What the gateway asks of the jobs of books and batches."""

    async def jobs(self, ids: Sequence[str]) -> list[Job | None]: ...

    async def audio(self, addresses: Sequence[str]) -> list[Audio | None]: ...

    async def segment_audio(self, job_id: str) -> list[Audio]:
        """Return the audio of a job's finished segments, in order."""
        ...

    async def counts(self, parent: str) -> dict[JobState, int]: ...

    async def spent(self, parent: str) -> Spent: ...

    async def page(self, parent: str, *, after: str, limit: int) -> list[str]: ...

    async def news(self, parent: str, *, after: str = "") -> list[ParentNews]: ...


class AsyncRedisChildJobs:
    """The gateway's side."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)

    async def jobs(self, ids: Sequence[str]) -> list[Job | None]:
        """Return the records, in this order."""
        found: list[Job | None] = []
        with translated():
            for start in range(0, len(ids), MOST_AT_ONCE):
                raw: list[str | None] = await self._redis.mget(
                    [records.job_key(one) for one in ids[start : start + MOST_AT_ONCE]]
                )
                found += [records.load_job(one) if one else None for one in raw]
        return found

    async def audio(self, addresses: Sequence[str]) -> list[Audio | None]:
        """Return the records of audio, in this order."""
        with translated():
            keys = [records.audio_record_key(address or "none") for address in addresses]
            raw: list[str | None] = await self._redis.mget(keys) if keys else []
        return [records.load_audio(one) if one and one != "deleting" else None for one in raw]

    async def segment_audio(self, job_id: str) -> list[Audio]:
        with translated():
            steps: dict[str, str] = await self._redis.hgetall(records.steps_key(job_id))
        numbers = sorted((name for name in steps if name.isdigit()), key=int)
        addresses = [records.load_step(name, steps[name]).audio_address or "" for name in numbers]
        return [audio for audio in await self.audio(addresses) if audio]

    async def news(self, parent: str, *, after: str = "") -> list[ParentNews]:
        """Return what happened after that one, the latest some hundreds at most."""
        with translated():
            entries = await self._redis.xrange(records.events_key(parent), min=f"({after}" if after else "-")
        return [ParentNews(entry_id, json.loads(entry["data"])) for entry_id, entry in entries]

    async def counts(self, parent: str) -> dict[JobState, int]:
        """Return how many children are in each state."""
        with translated():
            counted: dict[str, str] = await self._redis.hgetall(records.counts_key(parent))
        return {state: int(counted.get(state, 0)) for state in JobState}

    async def spent(self, parent: str) -> Spent:
        with translated():
            spoken, engine_us = await self._redis.hmget(records.counts_key(parent), "spoken", "engine_us")
        return Spent(int(spoken or 0), int(engine_us or 0) / 1e6)

    async def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        """Return ids of children, by their ids, beginning after one."""
        with translated():
            first = f"({after}" if after else "-"
            return await self._redis.zrange(records.children_key(parent), first, "+", bylex=True, offset=0, num=limit)

    async def close(self) -> None:
        await self._redis.aclose()

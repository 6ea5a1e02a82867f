"""Job records in Redis: the gateway's store, over the same keys and the same scripts as the workers'."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from shared import records
from shared.changes import (
    creation_argument,
    final_argument,
    member,
    refusal_argument,
    removal_argument,
    reopening_argument,
    repeat_argument,
    script,
)
from shared.ended import job_ended
from shared.errors import IdempotencyConflict, LaneFull, QueueUnavailable, QuotaExceeded, StoreUnavailable
from shared.fair import NO_WINDOWS, NOTHING_GOES, Windows, ready_steps
from shared.job_store import CHANGED, EXCEEDED, audio_addresses
from shared.jobs import Failure, Job, JobState, Lane, SpeechRequest, Step, reopened
from shared.limits import NO_LIMITS, Limits
from shared.ports import Catalogue, JobNews, JobView, LaneLoad, Recorded, Reopened, StepRef
from shared.quotas import SCALE, limited, wanted
from shared.redis_clients import hasty_client, translated

log = logging.getLogger(__name__)

FREE = (
    "local taken = redis.call('GET', KEYS[1]) "
    "if taken and cjson.decode(taken)[1] == ARGV[1] then redis.call('DEL', KEYS[1]) end"
)
READERS = 16  # of the pool's 100 connections: all listeners of a job look at once when it changes


class AsyncRedisJobStore:
    """The gateway's side. It gives up soon: a client is waiting, and is told to come again."""

    def __init__(
        self,
        url: str,
        *,
        windows: Windows = NO_WINDOWS,
        send: Callable[[StepRef], Awaitable[None]] | None = None,
    ) -> None:
        """Args:
        windows, send: as a worker's.
        """
        self._windows, self._send = windows, send
        self._redis: Any = hasty_client(url)
        self._commit = self._redis.register_script(script("commit"))
        self._remove = self._redis.register_script(script("remove"))
        self._deleted = self._redis.register_script(script("deleted"))
        self._forget = self._redis.register_script(script("forget"))
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._reading_news = asyncio.Semaphore(READERS)

    async def create(  # noqa: PLR0913 - every argument by name
        self,
        job: Job,
        request: SpeechRequest,
        *,
        key: str = "",
        fingerprint: str = "",
        limits: Limits = NO_LIMITS,
        most_ahead: int = 0,
        stands_for: Job | None = None,
    ) -> Recorded | str:
        argument = creation_argument(
            job,
            request,
            key=key,
            fingerprint=fingerprint,
            limits=limits,
            most_ahead=most_ahead,
            windows=self._windows,
            stands_for=stands_for,
        )
        with translated():
            reply, *more = await self._commit(args=[argument])
            if reply == 0:  # recorded by this very call, whose first reply was lost
                return await self._recorded_before(job)
        if isinstance(reply, int):
            return recorded(stands_for or job, limits, reply, more)
        owner, owners_fingerprint = json.loads(reply)
        if owner == job.id:  # the same
            with translated():
                return await self._recorded_before(job)
        if owners_fingerprint != fingerprint:
            raise IdempotencyConflict(owner)
        return owner

    async def _recorded_before(self, job: Job) -> Recorded:
        lane, first = job.lane_of(job.first_step), member(job.id, job.first_step)
        place = 1 + (await self._redis.zrank(records.waiting_key(lane), first) or 0)
        ready = [] if await self._parked(job) else [StepRef(job.id, job.first_step, lane)]
        return Recorded(place, ready=ready)

    async def parked(self, job: Job) -> bool:
        with translated():
            return await self._parked(job)

    async def _parked(self, job: Job) -> bool:
        key = records.parked_key(job.lane_of(job.first_step))
        return await self._redis.zscore(key, member(job.id, job.first_step)) is not None

    async def refuse(self, job: Job, *, key: str = "") -> bool:
        failed = job.failed(Failure("queue_unavailable", "the job queue did not take the job"), now=time.time())
        with translated():
            reply, *_ = await self._commit(args=[refusal_argument(records.dump(job), job, failed, key=key)])
            # Unchanged it may be by this very call, whose first reply was lost.
            refused = reply == CHANGED or await self._redis.get(records.job_key(job.id)) == records.dump(failed)
        if refused:
            job_ended(failed)
        return refused

    async def repeat(self, job_id: str) -> Job | None:
        with translated():
            while True:
                raw = await self._redis.get(records.job_key(job_id))
                if raw is None:
                    return None
                job = records.load_job(raw)
                if job.state is not JobState.QUEUED:
                    return job
                again = replace(job, repeats=job.repeats + 1)
                if (await self._commit(args=[repeat_argument(raw, again)]))[0] == CHANGED:
                    return again

    async def forget_key(self, tenant: str, key: str, job_id: str) -> None:
        with translated():
            await self._redis.eval(FREE, 1, records.idempotency_key(tenant, key), job_id)

    async def cancel(self, job_id: str) -> Job | None:
        with translated():
            return await self._end(job_id, lambda now: now.cancelled(now=time.time()))

    async def view(self, job_id: str) -> JobView | None:
        with translated():
            return next(iter(await self._views([job_id])), None)

    async def page(self, tenant: str, *, state: JobState | None, before: str | None, limit: int) -> list[JobView]:
        index = records.state_key(tenant, state) if state else records.jobs_key(tenant)
        newest = f"({before}" if before else "+"
        with translated():
            ids: list[str] = await self._redis.zrange(index, newest, "-", desc=True, bylex=True, offset=0, num=limit)
            return await self._views(ids)

    async def remove(self, job_id: str) -> list[str]:
        with translated():
            while True:
                raw, steps = await self._job_and_steps(job_id)
                if raw is None:
                    return []
                argument = removal_argument(raw, records.load_job(raw), audio_addresses(steps), now=time.time())
                orphans: list[str] | None = await self._remove(args=[argument])
                if orphans is not None:
                    return orphans

    async def deleted(self, keys: Sequence[str]) -> None:
        if keys:
            with translated():
                await self._deleted(
                    keys=[records.GARBAGE, records.UPLOADING], args=[records.audio_record_key(""), "", *keys]
                )

    async def reopen(self, job_id: str) -> Reopened | None:
        with translated():
            while True:
                raw, steps = await self._job_and_steps(job_id)
                if raw is None:
                    return None
                job = records.load_job(raw)
                if job.state not in (JobState.FAILED, JobState.SUCCEEDED):
                    return None
                await self._forget_audio_of(job)
                found = {name: records.load_step(name, step) for name, step in steps.items()}
                again, names = reopened(job, found.values())
                left = [Step(name, counted=name in found and found[name].counted) for name in names]
                argument = reopening_argument(raw, job, again, left, now=time.time())
                if (await self._commit(args=[argument]))[0] == CHANGED:
                    return Reopened(again, names)

    async def catalogue(self, *, stand_in: bool = False) -> Catalogue | None:
        with translated():
            raw = await self._redis.get(records.STAND_IN_CATALOGUE if stand_in else records.CATALOGUE)
        return records.load_catalogue(raw) if raw else None

    async def loads(self) -> dict[Lane, LaneLoad]:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for lane in Lane:
                    _ask_load(pipeline, lane)
                replies = await pipeline.execute()
        return {lane: _load(replies[6 * n : 6 * n + 6]) for n, lane in enumerate(Lane)}

    async def ping(self) -> None:
        with translated():
            await self._redis.ping()

    async def close(self) -> None:
        if self._listener:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await self._redis.aclose()

    async def news(self, job_id: str, *, after: str = "") -> list[JobNews] | None:
        async with self._reading_news:
            with translated():
                async with self._redis.pipeline(transaction=False) as pipeline:
                    pipeline.xrange(records.events_key(job_id), min=f"({after}" if after else "-")
                    pipeline.exists(records.job_key(job_id))
                    entries, there = await pipeline.execute()
        return [records.load_news(entry_id, entry["data"]) for entry_id, entry in entries] if there else None

    @asynccontextmanager
    async def watch(self, job_id: str) -> AsyncGenerator[Callable[[float], Awaitable[None]]]:
        """Within the context, awaiting the function returns when the job changes or after that many seconds."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        changed = asyncio.Event()
        self._watchers.setdefault(job_id, set()).add(changed)

        async def wait(seconds: float) -> None:
            # At most a second: a change is missed while the listener has lost its connection.
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(seconds, 1.0))
            changed.clear()

        try:
            yield wait
        finally:
            self._watchers[job_id].discard(changed)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    async def _listen(self) -> None:
        while True:
            with suppress(StoreUnavailable), translated():
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(records.CHANGED)
                    await self._hear(subscription)
            await asyncio.sleep(0.5)

    async def _hear(self, subscription: Any) -> None:
        while True:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=30)
            for changed in self._watchers.get(message["data"], ()) if message else ():
                changed.set()

    async def _end(self, job_id: str, ended: Callable[[Job], Job]) -> Job | None:
        while True:
            raw = await self._redis.get(records.job_key(job_id))
            if raw is None:
                return None
            job = records.load_job(raw)
            if job.finished:
                return job
            after = ended(job)
            windows = self._windows if self._send else NOTHING_GOES
            argument = final_argument(raw, job, after, now=time.time(), windows=windows)
            reply, *more = await self._commit(args=[argument])
            if reply == CHANGED:
                job_ended(after)
                await self._send_ready(ready_steps(more[1]))
                return after

    async def _send_ready(self, ready: Sequence[StepRef]) -> None:
        with suppress(QueueUnavailable):  # the sweeper sends them
            for step in ready:
                if self._send:
                    await self._send(step)

    async def _forget_audio_of(self, job: Job) -> None:
        """The audio of a job that is opened again is lost: no worker may take it for spoken."""
        key = records.audio_record_key(job.audio_address or "")
        raw = await self._redis.get(key)
        if raw and raw != "deleting":
            await self._forget(keys=[key, records.GARBAGE], args=[records.load_audio(raw).sha256, time.time()])

    async def _job_and_steps(self, job_id: str) -> tuple[str | None, dict[str, str]]:
        raw = await self._redis.get(records.job_key(job_id))
        return raw, await self._redis.hgetall(records.steps_key(job_id))

    async def _views(self, ids: Sequence[str]) -> list[JobView]:
        """Read the jobs in one round trip, then their audio and their places in the queue in another."""
        if not ids:
            return []
        keys = [key(job_id) for job_id in ids for key in (records.job_key, records.request_key)]
        raw: list[str | None] = await self._redis.mget(keys)
        found = [
            (records.load_job(job), records.load_request(request))
            for job, request in zip(raw[::2], raw[1::2], strict=True)
            if job and request
        ]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for job, _ in found:
                _ask_view(pipeline, job)
            replies = await pipeline.execute()
        return [_view(job, request, replies[15 * n : 15 * n + 15]) for n, (job, request) in enumerate(found)]


def recorded(job: Job, limits: Limits, reply: int, more: Sequence[Any]) -> Recorded:
    """Read what `commit.lua` says of a new job.

    Raises:
        QuotaExceeded, LaneFull: it is not recorded.
    """
    names = limited(job, limits)
    if reply != EXCEEDED:
        return Recorded(reply, dict(zip(names, more[0], strict=False)), ready_steps(more[1]))
    if more[0] > len(names):  # the last limit is the lane's own
        raise LaneFull
    number, used = cast(Sequence[int], more)
    quota = names[number - 1]
    scale = SCALE.get(quota, 1)
    raise QuotaExceeded(quota, limit=limits.of(quota), used=used / scale, wanted=wanted(job)[quota] / scale)


def _ask_load(pipeline: Any, lane: Lane) -> None:
    pipeline.zcard(records.waiting_key(lane))
    pipeline.zrange(records.waiting_key(lane), 0, 0, withscores=True)
    pipeline.hmget(records.lane_key(lane), "gap", "service")
    pipeline.zcount(records.warm_key(lane), time.time(), "+inf")
    pipeline.zcard(records.parked_key(lane))
    pipeline.zrange(records.parked_key(lane), 0, 0, withscores=True)


def _load(replies: Sequence[Any]) -> LaneLoad:
    sent, oldest_sent, means, warm, parked, oldest_parked = replies
    gap, service = (float(mean) if mean else None for mean in means)
    now = time.time()
    oldest = min((since for _, since in (*oldest_sent, *oldest_parked)), default=now)
    return LaneLoad(sent + parked, max(0.0, now - oldest), gap, service, warm)


def _ask_view(pipeline: Any, job: Job) -> None:
    pipeline.get(records.audio_record_key(job.audio_address or "none"))
    _ask_place(pipeline, job, job.first_step)
    _ask_place(pipeline, job, str(max(job.segments_total - 1, 0)))
    _ask_load(pipeline, job.speaking_lane)


def _ask_place(pipeline: Any, job: Job, step: str) -> None:
    lane, name = job.lane_of(step), member(job.id, step)
    pipeline.zrank(records.waiting_key(lane), name)
    pipeline.zrank(records.parked_key(lane, job.tenant), name)
    pipeline.zcard(records.waiting_key(lane))
    pipeline.scard(records.parking_key(lane))


def _place(sent: int | None, parked: int | None, all_sent: int, tenants: int) -> int | None:
    """Return a step's position: in the queue; or behind the queue and its tenant's own, each with a turn of the others.

    Tenants that have less than that parked are done sooner, so a parked step may be nearer than is told.
    """
    if sent is not None:
        return sent + 1
    return None if parked is None else all_sent + parked * max(tenants, 1) + 1


def _view(job: Job, request: SpeechRequest, replies: list[Any]) -> JobView:
    audio, *places = replies[:9]
    first, last = _place(*places[:4]), _place(*places[4:])
    return JobView(
        job=job,
        request=request,
        audio=records.load_audio(audio) if audio and audio != "deleting" else None,
        position=first if job.state is JobState.QUEUED else None,
        last_position=last,
        load=_load(replies[9:]),
    )

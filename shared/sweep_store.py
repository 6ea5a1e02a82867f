"""The sweeper's side of the records: what waits without a message, what nobody holds any more, what is due."""

import json
import math
from collections.abc import Mapping
from typing import Any

from shared import records
from shared.book_store import EXPIRING as BOOKS_EXPIRING
from shared.changes import expiry_argument, removal_argument, script
from shared.ended import job_ended
from shared.fair import NO_WINDOWS, Windows, ready_steps, share
from shared.job_store import audio_addresses
from shared.jobs import Job, JobKind, JobState, Lane
from shared.ports import StepRef
from shared.redis_clients import patient_client, translated
from shared.voice_library import PREFIX
from shared.voice_records import voice_key

# A step is suspicious when steps that arrived this much later have been started: a queue is first in, first out.
OVERTAKEN_SECONDS = 30.0
MOST = 10_000  # looked at in one round
NEVER = -math.inf


class RedisSweepStore:
    """Everything here is bounded, and harmless when two sweepers do it at once."""

    def __init__(self, url: str, *, windows: Windows = NO_WINDOWS) -> None:
        self._windows = windows
        self._redis: Any = patient_client(url)
        self._release = self._redis.register_script(script("release"))
        self._remove = self._redis.register_script(script("remove"))
        self._doom = self._redis.register_script(script("doom"))
        self._deleted = self._redis.register_script(script("deleted"))

    def alone(self, name: str, *, seconds: float) -> bool:
        """Whether this sweeper is the one that works for the next seconds; `name` is its own."""
        with translated():
            if self._redis.set(records.SWEEPER, name, nx=True, ex=int(seconds)):
                return True
            mine = self._redis.get(records.SWEEPER) == name
            return mine and bool(self._redis.expire(records.SWEEPER, int(seconds)))

    def stranded(self, lane: Lane, *, now: float, ready_messages: int, patience: float) -> list[StepRef]:
        """Return the steps of the lane that seem to have lost their message, for that many seconds without a break.

        A step is suspicious while it waits and its queue has no message ready, or later steps have overtaken it. Each
        is returned once; then its patience starts anew, and while messages are ready the lane has to come past it anew:
        where nobody works, no duplicates pile up.
        """
        seen_key = records.suspects_key(lane)
        with translated():
            passed = self._passed(lane)
            before = min(now, passed) if ready_messages else now
            suspects: list[str] = self._redis.zrange(
                records.waiting_key(lane), "-inf", before, byscore=True, offset=0, num=MOST
            )
            sent = self._sent(lane) if ready_messages else {}
            suspects = [one for one in suspects if sent.get(one, NEVER) <= passed]
            seen: dict[str, float] = dict(self._redis.zrange(seen_key, 0, -1, withscores=True))
            lost = self._with_record(lane, [one for one in suspects if seen.get(one, now) <= now - patience])
            fresh = [one for one in suspects if one not in seen]
            self._drop(seen_key, [*seen.keys() - set(suspects)])
            if fresh or lost:
                self._redis.zadd(seen_key, dict.fromkeys([*fresh, *lost], now))
            self._note_sent(lane, lost, now)
        return [_step(one, lane) for one in lost]

    def lapsed(self, *, now: float, ready_messages: Mapping[Lane, int], patience: float) -> list[StepRef]:
        """Return the steps whose lease ran out that many seconds ago: their worker is gone.

        Each once in that time, by the same rule as those that are stranded.
        """
        with translated():
            lost: list[str] = self._redis.zrange(
                records.LEASES, "-inf", now - patience, byscore=True, offset=0, num=MOST
            )
            sent = {lane: (self._sent(lane), self._passed(lane)) for lane in Lane} if lost else {}
            found: list[StepRef] = []
            for one in lost:
                job_id, _, step = one.rpartition(":")
                raw = self._redis.get(records.job_key(job_id))
                job = records.load_job(raw) if raw else None
                if job is None or job.finished:  # it should not be there, and is of no use
                    self._redis.zrem(records.LEASES, one)
                    continue
                lane = job.lane_of(step)
                before, passed = sent[lane]
                if ready_messages[lane] and before.get(one, NEVER) > passed:
                    continue
                self._redis.zadd(records.LEASES, {one: now}, xx=True)
                self._note_sent(lane, [one], now)
                found.append(StepRef(job_id, step, lane))
        return found

    def ready(self, lane: Lane, *, now: float) -> list[StepRef]:
        """Return the steps of the lane whose tenants have room for them, and that nobody has sent: each once."""
        found: list[StepRef] = []
        with translated():
            for tenant in sorted(self._redis.smembers(records.parking_key(lane))):
                told = share(tenant, lane, self._windows, now=now)
                found += ready_steps(self._release(args=[json.dumps(told)]))
        return found

    def busy_workers(self, *, now: float) -> set[str]:
        """Return the names of the workers that have something in hand."""
        with translated():
            return {*self._redis.zrange(records.BUSY, now, "+inf", byscore=True)}

    def due(self, *, now: float, limit: int) -> list[str]:
        """Return the ids of jobs whose time is over, the oldest first."""
        with translated():
            return self._redis.zrange(records.EXPIRING, "-inf", now, byscore=True, offset=0, num=limit)

    def expire(self, job_id: str, *, now: float) -> JobState | None:
        """Let the audio of a job go; forget the job if that was done before.

        Returns:
            its state: EXPIRED, unless it is no longer due; None if it is forgotten.
        """
        with translated():
            while True:
                raw = self._redis.get(records.job_key(job_id))
                if raw is None:
                    self._redis.zrem(records.EXPIRING, job_id)
                    return None
                job = records.load_job(raw)
                due = self._redis.zscore(records.EXPIRING, job_id)  # after the record: what changes it, changes both
                if due is not None and job.finished and self._stays_with_its_parent(job):
                    self._redis.zadd(records.EXPIRING, {job_id: now + job.keep_seconds})
                    return job.state
                if due is None or due > now:  # it has ended or was opened again meanwhile, or another sweeper was here
                    return job.state
                addresses = audio_addresses(self._redis.hgetall(records.steps_key(job_id)))
                expired = job.expired(now=now)
                if forget := job.state is JobState.EXPIRED:
                    argument = removal_argument(raw, job, addresses, now=now)
                else:
                    argument = expiry_argument(raw, job, expired, addresses, now=now)
                if self._remove(args=[argument]) is not None:
                    if not job.finished:
                        job_ended(expired)
                    return None if forget else JobState.EXPIRED

    def _stays_with_its_parent(self, job: Job) -> bool:
        """Whether the job stays for as long as a book, whose time runs from its latest change, or as a voice."""
        if job.kind is JobKind.VOICE:
            return bool(self._redis.exists(voice_key(f"{PREFIX}{job.parent}")))
        return bool(job.parent) and self._redis.zscore(BOOKS_EXPIRING, job.parent) is not None

    def remove(self, job_id: str, *, now: float) -> None:
        """Forget a job, whatever its state, and let its audio go."""
        with translated():
            while raw := self._redis.get(records.job_key(job_id)):
                job = records.load_job(raw)
                addresses = audio_addresses(self._redis.hgetall(records.steps_key(job_id)))
                if self._remove(args=[removal_argument(raw, job, addresses, now=now)]) is not None:
                    return

    def doomed(self, *, garbage_before: float, uploads_before: float, limit: int) -> list[str]:
        """Return keys of objects to delete: no record points to them, and nobody may store them until `deleted`.

        Args:
            garbage_before: what was let go later is left to the gateway that removed its job.
            uploads_before: what a worker began to store earlier, and never recorded, is let go.
            limit: of each kind.
        """
        with translated():
            return self._doom(
                keys=[records.GARBAGE, records.UPLOADING],
                args=[limit, garbage_before, uploads_before, records.audio_record_key("")],
            )

    def deleted(self, keys: list[str]) -> None:
        """Those objects are gone now."""
        self._no_longer_doomed(keys, "")

    def spared(self, keys: list[str], *, now: float) -> None:
        """Those objects could not be deleted: they are the last to be tried again, and may be stored until then."""
        self._no_longer_doomed(keys, str(now))

    def _no_longer_doomed(self, keys: list[str], again: str) -> None:
        if keys:
            arguments = [records.audio_record_key(""), again, *keys]
            with translated():
                self._deleted(keys=[records.GARBAGE, records.UPLOADING], args=arguments)

    def _with_record(self, lane: Lane, members: list[str]) -> list[str]:
        """Return those whose job there is; the others should not be there."""
        if not members:
            return []
        found = self._redis.mget([records.job_key(_step(one, lane).job_id) for one in members])
        known = [one for one, raw in zip(members, found, strict=True) if raw]
        self._drop(records.waiting_key(lane), [*{*members} - {*known}])
        return known

    def _passed(self, lane: Lane) -> float:
        """Return until which arrival the steps of the lane should have been started by now."""
        return float(self._redis.hget(records.lane_key(lane), "front") or 0) - OVERTAKEN_SECONDS

    def _sent(self, lane: Lane) -> dict[str, float]:
        """Return which unfinished steps were sent again, and when; forget the others."""
        key = records.sent_again_key(lane)
        sent: dict[str, float] = dict(self._redis.zrange(key, 0, -1, withscores=True))
        if sent:
            waits = self._redis.zmscore(records.waiting_key(lane), [*sent])
            runs = self._redis.zmscore(records.LEASES, [*sent])
            done = [one for one, *since in zip(sent, waits, runs, strict=True) if since == [None, None]]
            self._drop(key, done)
        return sent

    def _note_sent(self, lane: Lane, steps: list[str], now: float) -> None:
        """Their messages are the last of the lane now."""
        if steps:
            front = self._passed(lane) + OVERTAKEN_SECONDS
            self._redis.zadd(records.sent_again_key(lane), dict.fromkeys(steps, max(now, front)))

    def _drop(self, key: str, members: list[str]) -> None:
        if members:
            self._redis.zrem(key, *members)


def _step(member: str, lane: Lane) -> StepRef:
    job_id, _, step = member.rpartition(":")
    return StepRef(job_id, step, lane)

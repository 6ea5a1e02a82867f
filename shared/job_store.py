"""Job records in Redis: the worker's store. The gateway's is over the same keys and the same scripts."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared import records
from shared.changes import Snapshot, commit_argument, member, script
from shared.ended import job_ended
from shared.errors import QueueUnavailable, StorageUnavailable
from shared.fair import NO_WINDOWS, Windows, ready_steps
from shared.jobs import Audio, Change, Job, Lane, Outcome, SpeechRequest, Step, StepState
from shared.ports import AudioClaim, Catalogue, Decision, Holder, Segment, StepRef
from shared.redis_clients import patient_client, translated
from shared.usage import USAGE_DAYS

CHANGED, AUDIO_GONE, EXCEEDED = 1, -1, -2  # what commit.lua answers; 0: another change came first
KEEP = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"

log = logging.getLogger(__name__)


class RedisJobStore:
    """The worker's side."""

    def __init__(
        self,
        url: str,
        *,
        usage_days: int = USAGE_DAYS,
        windows: Windows = NO_WINDOWS,
        send: Callable[[StepRef], None] | None = None,
    ) -> None:
        """Args:
        windows, send: the tenants' shares of the lanes; and what enqueues a step whose turn has come.
        """
        self._usage_days = usage_days
        self._windows, self._send = windows, send
        self._redis: Any = patient_client(url)
        self._commit = self._redis.register_script(script("commit"))
        self._claim = self._redis.register_script(script("claim"))
        self._drop_claim = self._redis.register_script(script("drop_claim"))
        self._forget = self._redis.register_script(script("forget"))

    def load(self, job_id: str, step: str) -> tuple[Job, Step, SpeechRequest] | None:
        with translated():
            snapshot, request = self._read(job_id, step, ["GET", records.request_key(job_id)])
        return (snapshot.job, snapshot.step, records.load_request(request)) if snapshot and request else None

    def change(
        self,
        job_id: str,
        step: str,
        decide: Decision,
        *,
        audio: Audio | None = None,
        known: tuple[Job, Step] | None = None,
    ) -> Change | None:
        if known:
            job, found = known
            raw_step = records.dump(found) if found != Step(step) else ""  # a step is written when it first starts
            was = Snapshot(job, found, records.dump(job), raw_step)
            change = decide(*known)
            if change.outcome is Outcome.APPLIED and self._committed(was, change, audio=audio, segments=()):
                return change
        return self._change(job_id, step, decide, audio=audio, segments=())

    def plan(self, job_id: str, decide: Decision, segments: Sequence[Segment]) -> Change | None:
        return self._change(job_id, "plan", decide, audio=None, segments=segments)

    def segment(self, job_id: str, step: str) -> Segment:
        with translated():
            return records.load_segment(self._redis.hget(records.segments_key(job_id), step))

    def segments(self, job_id: str) -> list[Segment]:
        with translated():
            stored: dict[str, str] = self._redis.hgetall(records.segments_key(job_id))
        return [records.load_segment(stored[number]) for number in sorted(stored, key=int)]

    def waiting_steps(self, job: Job) -> list[str]:
        with translated():
            steps, segments = self._pipeline(
                ["HGETALL", records.steps_key(job.id)], ["HKEYS", records.segments_key(job.id)]
            )
            waits = [name for name in segments if records.load_step(name, steps.get(name)).state is StepState.WAITING]
            members = [member(job.id, name) for name in waits]
            parked: list[float | None] = []
            if members:
                parked = self._redis.zmscore(records.parked_key(job.speaking_lane), members)
        return sorted((name for name, since in zip(waits, parked, strict=True) if since is None), key=int)

    def segment_audio(self, job_id: str) -> dict[str, Audio | str]:
        with translated():
            steps: dict[str, str] = self._redis.hgetall(records.steps_key(job_id))
            numbers = sorted((name for name in steps if name.isdigit()), key=int)
            addresses = [records.load_step(name, steps[name]).audio_address or "" for name in numbers]
        found = self.audio(addresses)
        return {name: audio or address for name, audio, address in zip(numbers, found, addresses, strict=True)}

    def audio(self, addresses: Sequence[str]) -> list[Audio | None]:
        if not addresses:
            return []
        with translated():
            stored: list[str | None] = self._redis.mget([records.audio_record_key(address) for address in addresses])
        return [records.load_audio(raw) if raw and raw != "deleting" else None for raw in stored]

    def find_audio(self, address: str, *, key: str, holder: Holder, seconds: float) -> Audio | AudioClaim:
        names = [records.audio_record_key(address), records.speaking_key(address), records.UPLOADING]
        with translated():
            reply = self._claim(keys=names, args=[holder.step, holder.token, int(seconds * 1000), key, time.time()])
        if reply == "deleting":
            raise StorageUnavailable("the same audio is being deleted just now")
        return AudioClaim(reply) if reply in set(AudioClaim) else records.load_audio(reply)

    def keep_claim(self, address: str, *, holder: Holder, seconds: float) -> None:
        with translated():
            self._redis.eval(KEEP, 1, records.speaking_key(address), str(holder), int(seconds * 1000))

    def drop_claim(self, address: str, *, key: str, holder: Holder, stored: bool) -> None:
        names = [records.speaking_key(address), records.UPLOADING]
        with translated():
            self._drop_claim(keys=names, args=[str(holder), key, "1" if stored else "0"])

    def forget_audio(self, audio: Audio) -> None:
        with translated():
            self._forget(
                keys=[records.audio_record_key(audio.address), records.GARBAGE], args=[audio.sha256, time.time()]
            )

    def announce(self, catalogue: Catalogue, *, stand_in: bool = False) -> None:
        with translated():
            self._redis.set(records.STAND_IN_CATALOGUE if stand_in else records.CATALOGUE, records.dump(catalogue))

    def catalogue(self) -> Catalogue | None:
        with translated():
            raw: str | None = self._redis.get(records.CATALOGUE)
        return records.load_catalogue(raw) if raw else None

    def present(self, worker: str, lane: Lane, *, warm: bool, busy: bool, seconds: float) -> None:
        now = time.time()
        commands: list[list[str]] = []
        for key, so in ((records.warm_key(lane), warm), (records.BUSY, busy)):
            commands += [["ZADD", key, str(now + seconds), worker] if so else ["ZREM", key, worker]]
            commands += [["ZREMRANGEBYSCORE", key, "-inf", str(now)]]  # of those that were killed
        with translated():
            self._pipeline(*commands)

    def _change(
        self, job_id: str, step: str, decide: Decision, *, audio: Audio | None, segments: Sequence[Segment]
    ) -> Change | None:
        with translated():
            while True:
                was, *_ = self._read(job_id, step)  # without the request, which may be long
                if was is None:
                    return None
                change = decide(was.job, was.step)
                if (change.job, change.step) == (was.job, was.step):
                    return change
                if self._committed(was, change, audio=audio, segments=segments):
                    return change

    def _committed(self, was: Snapshot, change: Change, *, audio: Audio | None, segments: Sequence[Segment]) -> bool:
        argument = commit_argument(
            was,
            change,
            audio=audio,
            segments=segments,
            now=time.time(),
            usage_days=self._usage_days,
            windows=self._windows,
        )
        with translated():
            reply, *more = self._commit(args=[argument])
        if reply == AUDIO_GONE:
            raise StorageUnavailable("the same audio was deleted just now")
        if reply == CHANGED and change.job.finished and not was.job.finished:
            job_ended(change.job)
        if reply == CHANGED:
            self._send_ready(ready_steps(more[1]), planned=change.job.id if segments else "")
        return reply == CHANGED

    def _send_ready(self, ready: Sequence[StepRef], *, planned: str) -> None:
        """Enqueue what has got its turn; a job's own segments are enqueued by who has planned them."""
        for step in ready:
            if step.job_id == planned or self._send is None:
                continue
            try:
                self._send(step)
            except QueueUnavailable as error:
                log.warning("the sweeper has to send a step: %s", error)
                return

    def _read(self, job_id: str, step: str, *more: list[str]) -> tuple[Snapshot | None, *tuple[Any, ...]]:
        """Return the job and the step, and what else is asked for."""
        raw_job, raw_step, *replies = self._pipeline(
            ["GET", records.job_key(job_id)], ["HGET", records.steps_key(job_id), step], *more
        )
        if raw_job is None:
            return None, *replies
        job, found = records.load_job(raw_job), records.load_step(step, raw_step)
        return Snapshot(job, found, raw_job, raw_step or ""), *replies

    def _pipeline(self, *commands: list[str]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return pipeline.execute()


def audio_addresses(steps: Mapping[str, str]) -> list[str]:
    """Return where the audio is that a job's steps have made."""
    addresses = (records.load_step(name, step).audio_address for name, step in steps.items())
    return sorted({address for address in addresses if address})

"""In-memory ports, with knobs for what goes wrong."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import BinaryIO

import anyio

from shared.api_keys import ApiKey, digest_of
from shared.errors import (
    AudioMissing,
    IdempotencyConflict,
    LaneFull,
    QueueUnavailable,
    QuotaExceeded,
    StorageUnavailable,
    StoreUnavailable,
)
from shared.jobs import JOIN, Audio, Change, Failure, Job, JobState, Lane, SpeechRequest, Step, StepState, reopened
from shared.limits import NO_LIMITS, Limits, Quota, Taken
from shared.live import LivePiece, Look
from shared.ports import (
    AudioClaim,
    Catalogue,
    Decision,
    Holder,
    JobNews,
    JobView,
    LaneLoad,
    Recorded,
    Reopened,
    Segment,
    StepRef,
)
from shared.quotas import SCALE, charge, is_line, limited, wanted
from shared.usage import Counted
from shared.webhooks import OF_JOBS, TEST, Delivery, Event, Webhook, delivery_of

CATALOGUE = Catalogue(
    engine="humming",
    revision="humming-1",
    sample_rate=16_000,
    voices=(
        {"id": "hum", "name": "Hum", "languages": ["en", "zh"], "gender": "female", "description": "a sine"},
        {"id": "buzz", "name": "Buzz", "languages": ["en"], "gender": "male", "description": ""},
    ),
    emotions=("neutral", "happy"),
    free_text_emotion=False,
    missing={"absent": "its program is not installed"},
    controls=("pitch_shift",),
    blends=True,
    imitates=True,
)


class InMemoryJobStore:
    """The worker's side of the job records, without a server."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.requests: dict[str, SpeechRequest] = {}
        self.steps: dict[str, dict[str, Step]] = {}
        self.texts: dict[str, list[Segment]] = {}
        self.stored: dict[str, Audio] = {}
        self.holders: dict[str, set[str]] = {}
        self.being_deleted: set[str] = set()
        self.claims: dict[str, Holder] = {}  # address -> who makes it
        self.uploads: set[str] = set()  # keys of objects that may be there without a record
        self.announced: Catalogue | None = None
        self.announced_stand_in: Catalogue | None = None
        self.warm: dict[str, Lane] = {}  # workers that take messages, and their lane
        self.busy: set[str] = set()  # workers that have something in hand

    def add(self, job: Job, request: SpeechRequest) -> None:
        self.jobs[job.id], self.requests[job.id], self.steps[job.id] = job, request, {}

    def load(self, job_id: str, step: str) -> tuple[Job, Step, SpeechRequest] | None:
        if job_id not in self.jobs:
            return None
        return self.jobs[job_id], self.steps[job_id].get(step, Step(step)), self.requests[job_id]

    def change(
        self,
        job_id: str,
        step: str,
        decide: Decision,
        *,
        audio: Audio | None = None,
        known: tuple[Job, Step] | None = None,
    ) -> Change | None:
        found = self.load(job_id, step)
        if found is None:
            return None
        change = decide(found[0], found[1])
        if (change.job, change.step) == found[:2]:
            return change
        if audio:
            if audio.address not in self.stored and audio.key not in self.uploads:
                raise StorageUnavailable("the same audio was deleted just now")
            self.stored[audio.address] = audio
            self.claims.pop(audio.address, None)
            self.uploads.discard(audio.key)
            self.holders.setdefault(audio.address, set()).add(job_id)
        self.jobs[job_id], self.steps[job_id][step] = change.job, change.step
        return change

    def plan(self, job_id: str, decide: Decision, segments: Sequence[Segment]) -> Change | None:
        change = self.change(job_id, "plan", decide)
        if change and change.step.state is StepState.DONE:
            self.texts.setdefault(job_id, list(segments))
        return change

    def segment(self, job_id: str, step: str) -> Segment:
        return self.texts[job_id][int(step)]

    def segments(self, job_id: str) -> list[Segment]:
        return self.texts[job_id]

    def waiting_steps(self, job: Job) -> list[str]:
        steps = self.steps[job.id]
        return [name for name in self.jobs[job.id].segments() if steps.get(name, Step(name)).state is StepState.WAITING]

    def segment_audio(self, job_id: str) -> dict[str, Audio | str]:
        steps = self.steps[job_id]
        addresses = {name: steps[name].audio_address or "" for name in self.jobs[job_id].segments() if name in steps}
        return {name: self.stored.get(address, address) for name, address in addresses.items()}

    def audio(self, addresses: Sequence[str]) -> list[Audio | None]:
        return [self.stored.get(address) for address in addresses]

    def find_audio(self, address: str, *, key: str, holder: Holder, seconds: float) -> Audio | AudioClaim:
        if address in self.being_deleted:
            raise StorageUnavailable("the same audio is being deleted just now")
        if address in self.stored:
            return self.stored[address]
        if self.claims.get(address, holder).step != holder.step:
            return AudioClaim.HELD
        self.claims[address] = holder
        self.uploads.add(key)
        return AudioClaim.OURS

    def keep_claim(self, address: str, *, holder: Holder, seconds: float) -> None:
        assert address in self.claims

    def drop_claim(self, address: str, *, key: str, holder: Holder, stored: bool) -> None:
        if self.claims.get(address) == holder:
            del self.claims[address]
            if not stored:
                self.uploads.discard(key)

    def forget_audio(self, audio: Audio) -> None:
        known = self.stored.get(audio.address)
        if known and known.sha256 == audio.sha256:
            del self.stored[audio.address]

    def announce(self, catalogue: Catalogue, *, stand_in: bool = False) -> None:
        if stand_in:
            self.announced_stand_in = catalogue
        else:
            self.announced = catalogue

    def catalogue(self) -> Catalogue | None:
        return self.announced

    def present(self, worker: str, lane: Lane, *, warm: bool, busy: bool, seconds: float) -> None:
        self.warm.pop(worker, None)
        self.busy.discard(worker)
        if warm:
            self.warm[worker] = lane
        if busy:
            self.busy.add(worker)


class InMemoryAsyncJobStore:
    """The gateway's side, over the same records."""

    def __init__(self, records: InMemoryJobStore) -> None:
        self.records = records
        self.told: dict[str, list[JobNews]] = {}  # of jobs that were listened to
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}  # (tenant, key) -> job, fingerprint
        records.announced = CATALOGUE

    async def create(
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
        if (job.tenant, key) in self.keys:
            owner, owners_fingerprint = self.keys[job.tenant, key]
            if owners_fingerprint != fingerprint:
                raise IdempotencyConflict(owner)
            return owner
        used = self._used(stands_for or job, limits)
        if most_ahead and self._load(job.speaking_lane).waiting >= most_ahead:
            raise LaneFull
        if key:
            self.keys[job.tenant, key] = (job.id, fingerprint)
        self.records.add(job, request)
        ready = [StepRef(job.id, job.first_step, job.lane_of(job.first_step))]
        return Recorded(self._load(job.lane).waiting, used, ready)

    async def parked(self, job: Job) -> bool:
        return False

    def _used(self, job: Job, limits: Limits) -> dict[Quota, int]:
        theirs = [one for one in self.records.jobs.values() if one.tenant == job.tenant]
        all_used = {
            Quota.CHARACTERS: sum(charge(one)["characters"] for one in theirs),
            Quota.AUDIO: sum(charge(one)["audio_us"] for one in theirs),
            Quota.JOBS: sum(not one.finished for one in theirs),
            Quota.STORAGE: sum(one.stored_bytes for one in theirs),
            Quota.LINES: sum(is_line(one) and not one.finished for one in theirs),
        }
        for quota in limited(job, limits):
            scale, more = SCALE.get(quota, 1), wanted(job)[quota]
            if all_used[quota] + more > limits.of(quota) * scale:
                raise QuotaExceeded(quota, limit=limits.of(quota), used=all_used[quota] / scale, wanted=more / scale)
        return {quota: all_used[quota] for quota in limited(job, limits)}

    async def refuse(self, job: Job, *, key: str = "") -> bool:
        if self.records.jobs[job.id] != job:
            return False
        failure = Failure("queue_unavailable", "the job queue did not take the job")
        self.records.jobs[job.id] = job.failed(failure, now=time.time())
        self.keys.pop((job.tenant, key), None)
        return True

    async def repeat(self, job_id: str) -> Job | None:
        job = self.records.jobs.get(job_id)
        if job and job.state is JobState.QUEUED:
            job = self.records.jobs[job_id] = replace(job, repeats=job.repeats + 1)
        return job

    async def forget_key(self, tenant: str, key: str, job_id: str) -> None:
        if self.keys.get((tenant, key), ("",))[0] == job_id:
            del self.keys[tenant, key]

    async def view(self, job_id: str) -> JobView | None:
        job = self.records.jobs.get(job_id)
        if job is None:
            return None
        waiting = sorted(key for key, one in self.records.jobs.items() if one.state is JobState.QUEUED)
        position = waiting.index(job_id) + 1 if job_id in waiting else None
        audio = self.records.stored.get(job.audio_address or "")
        return JobView(job, self.records.requests[job_id], audio, position, position, self._load(job.lane))

    async def page(self, tenant: str, *, state: JobState | None, before: str | None, limit: int) -> list[JobView]:
        newest_first = sorted(
            (job.id for job in self.records.jobs.values() if job.tenant == tenant and not job.parent), reverse=True
        )
        ids = [key for key in newest_first if before is None or key < before]
        views = [await self.view(key) for key in ids if state in (None, self.records.jobs[key].state)]
        return [view for view in views if view][:limit]

    async def cancel(self, job_id: str) -> Job | None:
        job = self.records.jobs.get(job_id)
        if job and not job.finished:
            job = self.records.jobs[job_id] = job.cancelled(now=time.time())
        return job

    async def remove(self, job_id: str) -> list[str]:
        self.records.jobs.pop(job_id, None)
        steps = self.records.steps.pop(job_id, {})
        addresses = {step.audio_address for step in steps.values() if step.audio_address}
        orphans: list[Audio] = []
        for address in addresses & self.records.stored.keys():
            self.records.holders[address].discard(job_id)
            if not self.records.holders[address]:
                orphans.append(self.records.stored.pop(address))
        self.records.being_deleted |= {audio.address for audio in orphans}
        return [audio.key for audio in orphans]

    async def deleted(self, keys: Sequence[str]) -> None:
        self.records.being_deleted -= {Path(key).stem for key in keys}

    async def reopen(self, job_id: str) -> Reopened | None:
        job = self.records.jobs.get(job_id)
        if job is None or job.state not in (JobState.FAILED, JobState.SUCCEEDED):
            return None
        steps = self.records.steps[job_id]
        again, names = reopened(job, steps.values())
        self.records.jobs[job_id] = again
        self.records.stored.pop(job.audio_address or "", None)
        for name in [*names, JOIN]:
            steps.pop(name, None)
        return Reopened(again, names)

    async def catalogue(self, *, stand_in: bool = False) -> Catalogue | None:
        return self.records.announced_stand_in if stand_in else self.records.announced

    async def loads(self) -> dict[Lane, LaneLoad]:
        return {lane: self._load(lane) for lane in Lane}

    async def ping(self) -> None:
        pass

    async def news(self, job_id: str, *, after: str = "") -> list[JobNews] | None:
        job = self.records.jobs.get(job_id)
        if job is None:
            return None
        told = self.told.setdefault(job_id, [])
        now = JobNews("", job.state, job.segments_done, job.segments_total, job.failure)
        if not told or replace(told[-1], id="") != now:  # what changed twice between two looks is one piece
            told.append(replace(now, id=f"{int(job.created_at * 1000)}-{len(told)}"))
        return told[int(after.rpartition("-")[2]) + 1 :] if after else list(told)

    @asynccontextmanager
    async def watch(self, job_id: str) -> AsyncGenerator[Callable[[float], Awaitable[None]]]:
        async def wait(seconds: float) -> None:
            await anyio.sleep(min(seconds, 0.01))

        yield wait

    def _load(self, lane: Lane) -> LaneLoad:
        queued = [
            job for job in self.records.jobs.values() if job.speaking_lane is lane and job.state is JobState.QUEUED
        ]
        warm = [worker for worker, theirs in self.records.warm.items() if theirs is lane]
        return LaneLoad(len(queued), 0.0, 0.5, 2.0, len(warm))


class InMemoryTenants:
    """Tenants' own limits. `tokens` are left in every bucket, which never gets more."""

    def __init__(self) -> None:
        self.limits: dict[str, dict[str, float]] = {}
        self.tokens = 1
        self.expiry: float | None = None
        self.away = False

    async def own(self, tenant: str) -> dict[str, float]:
        if self.away:
            raise StoreUnavailable
        return self.limits.get(tenant, {})

    async def take(self, tenant: str, *, rate: float, burst: int) -> Taken:
        self.tokens -= 1
        return Taken(self.tokens >= 0, max(self.tokens, 0), 1 / rate, burst / rate)

    async def next_expiry(self, tenant: str) -> float | None:
        return self.expiry


class InMemoryUsage:
    """What a test has counted."""

    def __init__(self) -> None:
        self.all: list[Counted] = []

    async def counted(self, days: Sequence[date], *, tenant: str) -> list[Counted]:
        return [one for one in self.all if one.day in days and tenant in ("", one.tenant)]


class InMemoryApiKeys:
    """Keys by their SHA-256. `uses` tells each note of a key's use."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.uses: list[str] = []
        self.looks = 0

    def add(self, key: str, record: ApiKey) -> None:
        self.keys[digest_of(key)] = record

    async def find(self, digest: str) -> ApiKey | None:
        self.looks += 1
        return self.keys.get(digest)

    async def used(self, key_id: str, *, at: float) -> None:
        self.uses.append(key_id)


class InMemoryWebhooks:
    """The gateway's side of webhooks, without a server."""

    def __init__(self) -> None:
        self.hooks: dict[tuple[str, str], Webhook] = {}
        self.sent: dict[tuple[str, str], list[Delivery]] = {}

    async def all(self, tenant: str) -> list[Webhook]:
        return [hook for hook in self.hooks.values() if hook.tenant == tenant and hook.id != OF_JOBS]

    async def find(self, tenant: str, webhook_id: str) -> Webhook | None:
        return self.hooks.get((tenant, webhook_id))

    async def write(self, webhook: Webhook, *, was: Webhook | None) -> bool:
        place = (webhook.tenant, webhook.id)
        if self.hooks.get(place) != was:
            return False
        self.hooks[place] = webhook
        return True

    async def enable(self, webhook: Webhook) -> None:
        self.hooks[webhook.tenant, webhook.id] = replace(webhook, failing_since=None, disabled="")

    async def remove(self, webhook: Webhook) -> None:
        del self.hooks[webhook.tenant, webhook.id]
        self.sent.pop((webhook.tenant, webhook.id), None)

    async def deliveries(self, webhook: Webhook, *, limit: int) -> list[Delivery]:
        return self.sent.get((webhook.tenant, webhook.id), [])[::-1][:limit]

    async def delivery(self, webhook: Webhook, event_id: str) -> Delivery | None:
        found = await self.deliveries(webhook, limit=1000)
        return next((one for one in found if one.event_id == event_id), None)

    async def test(self, webhook: Webhook) -> Delivery:
        sent = self.sent.setdefault((webhook.tenant, webhook.id), [])
        now = time.time()
        delivery = delivery_of(Event(f"evt_test_{len(sent)}", TEST, now, webhook.tenant), webhook.id, now=now)
        sent.append(delivery)
        return delivery

    async def again(self, delivery: Delivery) -> Delivery | None:
        anew = delivery.again(now=time.time())
        sent = self.sent[delivery.tenant, delivery.webhook_id]
        sent[sent.index(delivery)] = anew
        return anew


class InMemoryObjectStore:
    """Objects in a dict. `outages` is how many of the next calls fail; `loses` drops what is put."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.outages = 0
        self.loses = False

    def put(self, key: str, data: BinaryIO, *, length: int, content_type: str) -> None:
        self._may_fail()
        if not self.loses:
            self.objects[key] = data.read(length)

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        self._may_fail()
        if key not in self.objects:
            raise AudioMissing(key)
        whole = self.objects[key][offset:]
        yield whole[:length] if length else whole

    def exists(self, key: str, *, bytes: int) -> bool:
        self._may_fail()
        return len(self.objects.get(key, b"")) == bytes

    def delete(self, key: str) -> None:
        self._may_fail()
        self.objects.pop(key, None)

    def link(self, key: str, *, seconds: int, file_name: str, content_type: str) -> str:
        return f"http://objects.test/{key}?expires={seconds}"

    def upload_link(self, key: str, *, seconds: int) -> str:
        return f"http://objects.test/{key}?put={seconds}"

    def size(self, key: str) -> int:
        self._may_fail()
        if key not in self.objects:
            raise AudioMissing(key)
        return len(self.objects[key])

    def keys(self, prefix: str) -> Iterator[str]:
        self._may_fail()
        yield from [key for key in self.objects if key.startswith(prefix)]

    def ping(self) -> None:
        self._may_fail()

    def _may_fail(self) -> None:
        if self.outages:
            self.outages -= 1
            raise StorageUnavailable("switched off by the test")


class InMemoryQueue:
    """Messages in a list. `refuses` makes every enqueue fail."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, Lane]] = []
        self.delays: list[float] = []
        self.refuses = False

    def enqueue(self, job_id: str, step: str, *, lane: Lane, delay_seconds: float = 0) -> None:
        if self.refuses:
            raise QueueUnavailable("switched off by the test")
        self.messages.append((job_id, step, lane))
        self.delays.append(delay_seconds)

    def enqueue_all(self, job_id: str, steps: Sequence[str], *, lane: Lane) -> None:
        for step in steps:
            self.enqueue(job_id, step, lane=lane)


class InMemoryAsyncQueue:
    """The gateway's end of the same list."""

    def __init__(self, queue: InMemoryQueue) -> None:
        self.queue = queue

    async def enqueue(self, job_id: str, step: str, *, lane: Lane) -> None:
        self.queue.enqueue(job_id, step, lane=lane)

    async def ping(self) -> None:
        if self.queue.refuses:
            raise QueueUnavailable("switched off by the test")


class InMemoryLiveSpeech:
    """Both ends of live speech."""

    def __init__(self, records: InMemoryJobStore) -> None:
        self.records = records
        self.pieces: dict[str, list[LivePiece]] = {}
        self.usual: list[LivePiece] = []  # of every job that has none of its own
        self.failure: Failure | None = None  # of every job, behind its last piece
        self.listeners: dict[str, set[str]] = {}

    def add(self, job_id: str, piece: LivePiece) -> None:
        self.pieces.setdefault(job_id, []).append(piece)

    async def look(self, job_id: str, *, after: str) -> Look:
        pieces = self.pieces.get(job_id, self.usual)
        if self.failure and len(pieces) == int(after or 0):
            self.records.jobs[job_id] = self.records.jobs[job_id].failed(self.failure, now=time.time())
        return Look(self.records.jobs.get(job_id), pieces[int(after or 0) :], str(len(pieces)))

    async def segment(self, job_id: str, number: int) -> tuple[Audio | None, float]:
        step = self.records.steps.get(job_id, {}).get(str(number))
        texts = self.records.texts.get(job_id, [])
        pause_seconds = texts[number].pause_seconds if number < len(texts) else 0.0
        return self.records.stored.get((step and step.audio_address) or ""), pause_seconds

    async def listen(self, job_id: str, listener: str) -> None:
        self.listeners.setdefault(job_id, set()).add(listener)

    async def leave(self, job_id: str, listener: str) -> int:
        left = self.listeners.setdefault(job_id, set())
        left.discard(listener)
        return len(left)

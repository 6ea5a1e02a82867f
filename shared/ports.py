"""What the service needs from outside, as protocols: a job store, an object store, a queue."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Protocol

from shared.jobs import Audio, Change, Failure, Job, JobState, Lane, SpeechRequest, Step
from shared.limits import NO_LIMITS, Limits, Quota


@dataclass(frozen=True)
class Part:
    """A sentence of a narrated segment, spoken in its own way, and the silence after it."""

    text: str  # as the engine gets it
    pause_seconds: float
    written: str = ""  # as the book has it, if that differs
    voice: str = ""  # from here on: as the job's request, unless it is said
    emotion: str = ""
    emotion_strength: float | None = None
    speed: float | None = None


@dataclass(frozen=True)
class Segment:
    """A piece of a long text, and the silence that follows it."""

    text: str
    pause_seconds: float
    parts: tuple[Part, ...] = ()  # of a chapter: what to speak, instead of the text as a whole


@dataclass(frozen=True)
class Catalogue:
    """What an engine offers, as its workers announce it."""

    engine: str
    revision: str
    sample_rate: int
    voices: tuple[dict[str, object], ...]
    emotions: tuple[str, ...]
    free_text_emotion: bool
    missing: dict[str, str] = field(default_factory=dict[str, str])
    controls: tuple[str, ...] = ()  # which of shared.jobs.CONTROLS it obeys
    blends: bool = False  # whether a voice may be a blend of several
    imitates: bool = False  # whether it can speak like a reference clip

    @property
    def voice_ids(self) -> tuple[str, ...]:
        return tuple(str(voice["id"]) for voice in self.voices)


@dataclass(frozen=True)
class LaneLoad:
    """How busy a lane is, by its own recent measurements."""

    waiting: int  # messages that no worker has started
    oldest_seconds: float  # how long the first of them has waited
    seconds_per_step: float | None  # from one finished step to the next while there was work; None before the first
    service_seconds: float | None  # of one step, from start to finish
    warm_workers: int = 0  # that take messages


@dataclass(frozen=True)
class JobView:
    """A job as its owner sees it: the record, its request, its audio and its place in the queue."""

    job: Job
    request: SpeechRequest
    audio: Audio | None
    position: int | None  # 1 is next; None once a worker has started it
    last_position: int | None  # of the last segment that waits
    load: LaneLoad


@dataclass(frozen=True)
class JobNews:
    """What a change has made of a job, as its listeners hear of it."""

    id: str  # grows from one change to the next, and begins with its time in Unix milliseconds
    state: JobState
    segments_done: int
    segments_total: int
    failure: Failure | None = None


@dataclass(frozen=True)
class StepRef:
    """A step by its name, and where its message belongs."""

    job_id: str
    step: str
    lane: Lane


@dataclass(frozen=True)
class Recorded:
    """A new job: its position in the queue, and what its tenant had used of each limit before it."""

    position: int
    used: dict[Quota, int] = field(default_factory=dict[Quota, int])
    ready: list[StepRef] = field(default_factory=list[StepRef])  # to be enqueued now: not always its own


@dataclass(frozen=True)
class Reopened:
    """A job that was finished and is worked on again, and its steps that are to be enqueued."""

    job: Job
    steps: list[str]


@dataclass(frozen=True)
class Holder:
    """Who makes audio: a step, and by its token which of those who hold it one after the other."""

    step: str
    token: str

    def __str__(self) -> str:
        return f"{self.step} {self.token}"


class AudioClaim(StrEnum):
    """Who makes audio that does not exist yet."""

    OURS = "ours"
    HELD = "held"  # another worker speaks the same just now


Decision = Callable[[Job, Step], Change]


class JobStore(Protocol):
    """The worker's side of the job records. Every change is one compare-and-set."""

    def load(self, job_id: str, step: str) -> tuple[Job, Step, SpeechRequest] | None: ...

    def change(
        self,
        job_id: str,
        step: str,
        decide: Decision,
        *,
        audio: Audio | None = None,
        known: tuple[Job, Step] | None = None,
    ) -> Change | None:
        """Apply `decide` to the job and step as they are, all or nothing; None if there is no such job.

        `audio` is recorded with the change, so that a job never points to audio that is not known. `known` is how the
        caller last saw them: right, it saves a read; outdated, it does no harm.
        """
        ...

    def plan(self, job_id: str, decide: Decision, segments: Sequence[Segment]) -> Change | None:
        """`change` for the plan step, which also records the segments."""
        ...

    def segment(self, job_id: str, step: str) -> Segment: ...

    def segments(self, job_id: str) -> list[Segment]: ...

    def waiting_steps(self, job: Job) -> list[str]:
        """The planned segments that wait for a worker, but for those that wait for their tenant's turn."""
        ...

    def segment_audio(self, job_id: str) -> dict[str, Audio | str]:
        """The audio of the finished segments, in order; the address alone where its record is gone."""
        ...

    def audio(self, addresses: Sequence[str]) -> list[Audio | None]:
        """What is known to be stored at these addresses, in this order."""
        ...

    def find_audio(self, address: str, *, key: str, holder: Holder, seconds: float) -> Audio | AudioClaim:
        """Return the audio, or whose it is to make.

        A claim is `holder`'s for that many seconds, or for as long as it is kept; recording the audio ends it. Who
        takes a step over takes its claim over. From the claim on, the object `key` may be there without a record.

        Raises:
            StorageUnavailable: it is being deleted just now.
        """
        ...

    def keep_claim(self, address: str, *, holder: Holder, seconds: float) -> None: ...

    def drop_claim(self, address: str, *, key: str, holder: Holder, stored: bool) -> None:
        """Nothing comes of the claim. `stored`: the object may be there, and is swept later."""
        ...

    def forget_audio(self, audio: Audio) -> None:
        """The object is gone from the object store, or damaged: don't find it again."""
        ...

    def announce(self, catalogue: Catalogue, *, stand_in: bool = False) -> None: ...

    def catalogue(self) -> Catalogue | None:
        """What the engine offers, as it was last announced."""
        ...

    def present(self, worker: str, lane: Lane, *, warm: bool, busy: bool, seconds: float) -> None:
        """Tell whether the worker takes messages, and whether it has one in hand; believed for that many seconds."""
        ...


class AsyncJobStore(Protocol):
    """The gateway's side of the job records."""

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
        """Record a new job.

        If its tenant's idempotency key is taken, record nothing and return the id of the job that it belongs to.

        Args:
            stands_for: what has to be within the limits in place of the job, which leads to more than it is itself.

        Raises:
            IdempotencyConflict: the key belongs to a request with another fingerprint.
            QuotaExceeded: it would be more than these limits leave its tenant; nothing is used then.
            LaneFull: with it there would be more steps than `most_ahead` in the lane's queue and of its tenant.
        """
        ...

    async def parked(self, job: Job) -> bool:
        """Whether its first step waits for its tenant's turn, and is not to be enqueued."""
        ...

    async def refuse(self, job: Job, *, key: str = "") -> bool:
        """The job could not be enqueued: record it as failed and free its idempotency key.

        Returns:
            whether that was done: not if its request was repeated meanwhile, or its message arrived after all.
        """
        ...

    async def repeat(self, job_id: str) -> Job | None:
        """The request of a job came again: note that if the job is queued, so that nobody refuses it any more.

        Returns:
            the job as it is then.
        """
        ...

    async def forget_key(self, tenant: str, key: str, job_id: str) -> None:
        """Free an idempotency key of the tenant if it is still that job's, which has been removed."""
        ...

    async def view(self, job_id: str) -> JobView | None: ...

    async def page(self, tenant: str, *, state: JobState | None, before: str | None, limit: int) -> list[JobView]:
        """Jobs of the tenant from the newest to the oldest, beginning after the job `before`."""
        ...

    async def cancel(self, job_id: str) -> Job | None:
        """Cancel the job unless it is finished; return it as it is then."""
        ...

    async def remove(self, job_id: str) -> list[str]:
        """Forget a finished job; return the keys of the objects that no other job needs.

        Nobody stores the same audio until they are `deleted`; what is never deleted here, the sweeper deletes.
        """
        ...

    async def deleted(self, keys: Sequence[str]) -> None:
        """Those objects are gone now: the same audio may be stored again."""
        ...

    async def reopen(self, job_id: str) -> Reopened | None:
        """Have a failed job tried again, or the lost audio of one that succeeded made again.

        Returns:
            the job and its steps, for the caller to enqueue; None if it is not there, or is neither of the two.
        """
        ...

    async def catalogue(self, *, stand_in: bool = False) -> Catalogue | None:
        """What the engine offers, or the one that stands in while no worker of it is warm."""
        ...

    async def loads(self) -> dict[Lane, LaneLoad]: ...

    async def ping(self) -> None: ...

    async def news(self, job_id: str, *, after: str = "") -> list[JobNews] | None:
        """The changes of the job after that one, the latest some hundreds at most; None if it is not there."""
        ...

    def watch(self, job_id: str) -> AbstractAsyncContextManager[Callable[[float], Awaitable[None]]]:
        """Within the context, awaiting the function returns when the job changes or after that many seconds."""
        ...


class ObjectStore(Protocol):
    """Where audio is kept. Calls block: the gateway makes them in a thread."""

    def put(self, key: str, data: BinaryIO, *, length: int, content_type: str) -> None: ...

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        """Yield the object's bytes, `length` of them or all that follow `offset`.

        Raises:
            AudioMissing: there is no such object.
        """
        ...

    def exists(self, key: str, *, bytes: int) -> bool:
        """Whether the object is there and has that size."""
        ...

    def delete(self, key: str) -> None: ...

    def link(self, key: str, *, seconds: int, file_name: str, content_type: str) -> str:
        """Return a presigned link to the object."""
        ...

    def upload_link(self, key: str, *, seconds: int) -> str:
        """Return a presigned link to which the object may be sent, by PUT."""
        ...

    def size(self, key: str) -> int:
        """Return the object's bytes.

        Raises:
            AudioMissing: there is no such object.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys of the objects that begin so."""
        ...

    def ping(self) -> None: ...


class JobQueue(Protocol):
    """The way to enqueue a step of a job."""

    def enqueue(self, job_id: str, step: str, *, lane: Lane, delay_seconds: float = 0) -> None:
        """Return once the broker has confirmed the message, which it hands out after the delay. RabbitMQ can delay.

        Raises:
            QueueUnavailable: it did not.
        """
        ...


class WorkerJobQueue(JobQueue, Protocol):
    """The workers' way, who enqueue all steps of a plan."""

    def enqueue_all(self, job_id: str, steps: Sequence[str], *, lane: Lane) -> None:
        """Enqueue the steps in this order; return once the broker has confirmed them all.

        Raises:
            QueueUnavailable: it did not.
        """
        ...


class AsyncJobQueue(Protocol):
    """The gateway's way to enqueue a step of a job."""

    async def enqueue(self, job_id: str, step: str, *, lane: Lane) -> None:
        """Return once the broker has confirmed the message.

        Raises:
            QueueUnavailable: it did not; it may still deliver the message later.
        """
        ...

    async def ping(self) -> None: ...

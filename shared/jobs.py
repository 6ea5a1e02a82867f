"""A job, its steps, and which change may follow which. Pure: no clock, no network, no randomness.

A *step* is what one message carries: one segment of text (`"0"`, `"1"`, ...), or for long text also its plan and
its join. A worker starts a step, which gives it a lease with a fencing token, and finishes it with that token.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

MAX_ATTEMPTS = 3  # a step that took three workers down would take the fourth down too
CONTROLS = {"pitch_shift": 0.0, "pitch_scale": 1.0, "energy_shift": 0.0, "energy_scale": 1.0}  # and what is neutral
MAX_RETRIES = 10  # of a step that met a server that was away; with their back-off about four minutes
KEEP_SECONDS = 7 * 24 * 3600.0  # how long a finished job is kept, unless its record says otherwise
NO_TENANT = "default"  # whose the jobs are where nobody tells tenants apart
PLAN = "plan"
JOIN = "join"


class Lane(StrEnum):
    """A class of service with its own workers and its own queue."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    ASSEMBLY = "assembly"
    STANDIN = "standin"


class JobState(StrEnum):
    """Where a job is in its life; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class JobKind(StrEnum):
    """What a job is for. All but speech belong to a book, a batch or a voice, their parent.

    The last five need no engine.
    """

    SPEECH = "speech"
    CHAPTER = "chapter"  # of a book is spoken
    VOICE = "voice"  # a reference clip is checked, and a preview is spoken like it
    READING = "reading"  # a book's file becomes chapters
    RENDER = "render"  # of a book: each chapter becomes a job of speech
    ENCODING = "encoding"  # a spoken chapter is encoded while others are still spoken
    EDITION = "edition"  # spoken chapters become one book in one format
    INGEST = "ingest"  # each line of a batch becomes a job of speech


FINISHED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


class StepState(StrEnum):
    """Where a step is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True)
class Narration:
    """How a chapter of a book is read, besides what holds for all of it. Voices are ids of the engine's."""

    dialogue_voice: str = ""  # speaks what stands in quotes; "": the narrator does
    speakers: dict[str, str] = field(default_factory=dict[str, str])  # a name in the text, and its voice
    pronunciations: dict[str, str] = field(default_factory=dict[str, str])  # a word, and how it is written to be said
    pause_scale: float = 1.0


@dataclass(frozen=True)
class SpeechRequest:
    """What is to be spoken, and how. It never changes once the job is accepted."""

    text: str
    voice: str
    emotion: str
    emotion_strength: float
    speed: float
    format: str
    sample_rate: int
    seed: int
    pitch_shift: float = 0.0  # from here on what only some engines obey; neutral in records of earlier versions
    pitch_scale: float = 1.0
    energy_shift: float = 0.0
    energy_scale: float = 1.0
    narration: Narration | None = None  # the text is a chapter with marks (worker/narration)

    @property
    def voices(self) -> tuple[str, ...]:
        """All that it names; marks in the text of a chapter may name others."""
        cast = self.narration
        return (self.voice, cast.dialogue_voice, *cast.speakers.values()) if cast else (self.voice,)


@dataclass(frozen=True)
class Failure:
    """Why a job failed."""

    code: str
    message: str


@dataclass(frozen=True)
class Audio:
    """A stored object of audio, addressed by what was spoken and how."""

    address: str  # SHA-256 over all that decides the samples
    key: str  # in the bucket
    bytes: int
    seconds: float
    sample_rate: int
    format: str
    sha256: str
    words: tuple[tuple[str, float, float], ...] = ()  # word, start and end in seconds
    phonemes: str = ""  # the same of each phoneme, packed by shared/phonemes.py
    warnings: tuple[str, ...] = ()  # what was not spoken as it was written
    parts: tuple[tuple[float, float], ...] = ()  # start and end of each of its segment's parts
    retakes: tuple[str, ...] = ()  # what was spoken again because it did not pass, and why
    measured: dict[str, float] = field(default_factory=dict[str, float])  # loudness and the like, by name
    voices: tuple[str, ...] = ()  # library voices that speak in it, with their revisions


@dataclass(frozen=True)
class Job:
    """What a client wants, and how far it is."""

    id: str
    lane: Lane
    characters: int
    created_at: float  # Unix seconds, as all times here
    long: bool = False  # too long for one segment: it is planned, spoken in segments and joined
    state: JobState = JobState.QUEUED
    segments_total: int = 1  # 0 until a long text is planned
    segments_done: int = 0
    attempts: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    engine_seconds: float = 0.0
    audio_address: str | None = None
    audio_seconds: float = 0.0
    failure: Failure | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    keep_seconds: float = KEEP_SECONDS  # from its end until it expires
    repeats: int = 0  # of its request while it was queued: each may have enqueued it
    repairs: int = 0  # how many segments were spoken again, because their audio was lost
    tenant: str = NO_TENANT  # who sent it
    stand_in: str = ""  # a sentence: another engine speaks it than was asked for, and why
    trace: str = ""  # W3C traceparent of the request that submitted it
    estimated_seconds: float = 0.0  # of audio, when it was submitted
    stored_bytes: int = 0  # of the audio that it keeps; what two jobs share counts for both
    webhook_url: str = ""  # who is to be told how it ends, besides the tenant's webhooks
    webhook_events: tuple[str, ...] = ()  # of shared.webhooks.EVENT_TYPES; none: of all
    stream: bool = False  # somebody listens to it while it is spoken
    kind: JobKind = JobKind.SPEECH
    parent: str = ""  # the book, batch or voice that it belongs to
    custom_id: str = ""  # what the owner of its batch calls it

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def expires_at(self) -> float:
        """When its audio goes. Until it is finished: when it is given up."""
        return (self.finished_at or self.created_at) + self.keep_seconds

    @property
    def speaks(self) -> bool:
        """Whether it has segments that an engine speaks."""
        return self.kind in (JobKind.SPEECH, JobKind.CHAPTER, JobKind.VOICE)

    @property
    def first_step(self) -> str:
        return PLAN if self.long else "0"

    def lane_of(self, step: str) -> Lane:
        """Plans and joins need no engine: assembly workers do them, but for the plan that a listener waits for."""
        if not self.speaks or step == JOIN or (step == PLAN and not self.stream):
            return Lane.ASSEMBLY
        return Lane.STANDIN if self.stand_in else self.lane

    def goes_on_with(self, step: str) -> str:
        """Return the step that a message for this one stands for too: a listener waits for the first segment."""
        return "0" if step == PLAN and self.stream else ""

    @property
    def speaking_lane(self) -> Lane:
        """Whose workers speak its segments."""
        return self.lane_of("0")

    def steps(self) -> list[str]:
        """Every step that this job may have, as far as it is planned."""
        return [PLAN, *self.segments(), JOIN] if self.long else self.segments()

    def segments(self) -> list[str]:
        """The steps that speak."""
        return [str(n) for n in range(self.segments_total)]

    def failed(self, failure: Failure, *, now: float) -> "Job":
        return replace(self, state=JobState.FAILED, failure=failure, finished_at=now)

    def cancelled(self, *, now: float) -> "Job":
        return replace(self, state=JobState.CANCELLED, finished_at=now)

    def expired(self, *, now: float) -> "Job":
        """Its time is over: the record stays for as long again, its audio does not."""
        ended = self.finished_at or now
        return replace(self, state=JobState.EXPIRED, finished_at=ended, audio_address=None, stored_bytes=0)


@dataclass(frozen=True)
class Step:
    """One message's worth of work."""

    name: str
    state: StepState = StepState.WAITING
    attempts: int = 0  # how often a worker has started it
    retries: int = 0  # how many of these ended well, to be tried again: a server was away
    put_back: int = 0  # how many were given back unharmed: the worker had to stop, or another speaks the same audio
    started_at: float = 0.0  # of the latest attempt
    token: str = ""  # the fencing token of the latest holder
    lease_expires_at: float = 0.0
    audio_address: str | None = None  # of a finished segment
    bytes: int = 0  # of that audio
    counted: bool = False  # its tenant's usage has it; once, however often it is spoken again

    @property
    def deaths(self) -> int:
        """How many attempts took their worker down, as far as is known: they never came to an end."""
        return self.attempts - self.retries - self.put_back


class Outcome(StrEnum):
    """What came of a change that was asked for."""

    APPLIED = "applied"
    JOB_FINISHED = "job_finished"  # final already: nothing to do
    STEP_DONE = "step_done"  # by an earlier delivery
    HELD = "held"  # by another worker that is alive
    GIVEN_UP = "given_up"  # too many attempts: the job has failed now
    FENCED = "fenced"  # another worker took the step over
    MISSING = "missing"  # there is no such job
    NOT_READY = "not_ready"  # a join whose segments are not all there


@dataclass(frozen=True)
class Usage:
    """What a finished segment counts for."""

    engine: str
    characters: int
    audio_seconds: float
    engine_seconds: float
    bytes: int


@dataclass(frozen=True)
class Change:
    """The next job and step, and what came of it."""

    outcome: Outcome
    job: Job
    step: Step
    usage: Usage | None = None  # to be counted with the change


def start(  # noqa: PLR0913 - one call site, every argument by name
    job: Job, step: Step, *, token: str, now: float, lease_seconds: float, redelivered: bool
) -> Change:
    """Take the step for the worker with this token, counting the attempt now: it may never come to an end.

    `redelivered` is the broker's word that the last holder is gone, so its lease is taken over.
    """
    if step.state is StepState.RUNNING and step.token == token and not job.finished:
        return Change(Outcome.APPLIED, job, step)  # this very start, whose reply was lost
    if refused := _not_to_start(job, step, now=now, redelivered=redelivered):
        return Change(refused, job, step)
    if step.deaths >= MAX_ATTEMPTS:
        lost = Failure("worker_lost", f"the worker died in each of {step.deaths} attempts")
        return Change(Outcome.GIVEN_UP, job.failed(lost, now=now), step)
    step = replace(
        step,
        state=StepState.RUNNING,
        attempts=step.attempts + 1,
        started_at=now,
        token=token,
        lease_expires_at=now + lease_seconds,
    )
    job = replace(
        job,
        state=JobState.RUNNING,
        attempts=max(job.attempts, step.attempts - step.put_back),
        started_at=now if job.started_at is None else job.started_at,
    )
    return Change(Outcome.APPLIED, job, step)


def _not_to_start(job: Job, step: Step, *, now: float, redelivered: bool) -> Outcome | None:
    if job.finished:
        return Outcome.JOB_FINISHED
    if step.state is StepState.DONE:
        return Outcome.STEP_DONE
    if step.name == JOIN and job.segments_done < job.segments_total:
        return Outcome.NOT_READY
    held = step.state is StepState.RUNNING and not redelivered and now < step.lease_expires_at
    return Outcome.HELD if held else None


def _held(job: Job, step: Step, token: str) -> Outcome:
    if job.finished:
        return Outcome.JOB_FINISHED
    if step.state is StepState.DONE:
        return Outcome.STEP_DONE
    return Outcome.APPLIED if step.token == token else Outcome.FENCED


def renew(job: Job, step: Step, *, token: str, now: float, lease_seconds: float) -> Change:
    """Keep the step; any other outcome tells its holder to stop."""
    outcome = _held(job, step, token)
    if outcome is Outcome.APPLIED:
        step = replace(step, lease_expires_at=now + lease_seconds)
    return Change(outcome, job, step)


def release(job: Job, step: Step, *, token: str) -> Change:
    """Give the step back, to be started again by a later message."""
    return _given_back(job, step, token, replace(step, retries=step.retries + 1))


def put_back(job: Job, step: Step, *, token: str) -> Change:
    """Give the step back unharmed: the attempt counts neither as a retry nor as a death."""
    return _given_back(job, step, token, replace(step, put_back=step.put_back + 1))


def _given_back(job: Job, step: Step, token: str, counted: Step) -> Change:
    outcome = _held(job, step, token)
    if outcome is Outcome.APPLIED and step.state is StepState.RUNNING:  # else it was, and the reply was lost
        step = replace(counted, state=StepState.WAITING, lease_expires_at=0.0)
    return Change(outcome, job, step)


def lose_segment(job: Job, step: Step, *, address: str) -> Change:
    """The audio of a finished segment is gone or damaged: it is to be spoken again. Asked twice, it is done once."""
    if job.finished:
        return Change(Outcome.JOB_FINISHED, job, step)
    if step.state is not StepState.DONE or step.audio_address != address:
        return Change(Outcome.HELD, job, step)
    job = replace(
        job,
        segments_done=job.segments_done - 1,
        repairs=job.repairs + 1,
        stored_bytes=job.stored_bytes - step.bytes,
    )
    return Change(Outcome.APPLIED, job, Step(step.name, counted=step.counted))


def _done_by(step: Step, token: str) -> bool:
    """Whether this very holder has finished the step already: the reply to its change was lost on the way."""
    return step.state is StepState.DONE and step.token == token


def finish_segment(  # noqa: PLR0913 - every argument by name
    job: Job,
    step: Step,
    *,
    token: str,
    now: float,
    audio: Audio,
    engine_seconds: float,
    engine: str = "",
    characters: int = 0,
) -> Change:
    """The segment is spoken and stored. A job of one segment has succeeded with it.

    Args:
        engine, characters: who spoke how much, for the tenant's usage.
    """
    if _done_by(step, token):
        return Change(Outcome.APPLIED, job, step)
    outcome = _held(job, step, token)
    if outcome is not Outcome.APPLIED:
        return Change(outcome, job, step)
    job = replace(
        job,
        segments_done=job.segments_done + 1,
        engine_seconds=job.engine_seconds + engine_seconds,
        stored_bytes=job.stored_bytes + audio.bytes,
    )
    if not job.long:
        job = _succeeded(job, audio, now)
    counts = job.speaks and not step.counted
    usage = Usage(engine, characters, audio.seconds, engine_seconds, audio.bytes) if counts else None
    step = replace(step, state=StepState.DONE, audio_address=audio.address, bytes=audio.bytes, counted=True)
    return Change(outcome, job, step, usage)


def finish_work(job: Job, step: Step, *, token: str, now: float) -> Change:
    """The only step of a job that makes no audio is done: the job has succeeded."""
    if _done_by(step, token):
        return Change(Outcome.APPLIED, job, step)
    outcome = _held(job, step, token)
    if outcome is Outcome.APPLIED:
        job = replace(job, state=JobState.SUCCEEDED, segments_done=1, finished_at=now)
        step = replace(step, state=StepState.DONE)
    return Change(outcome, job, step)


def finish_plan(job: Job, step: Step, *, token: str, segments: int) -> Change:
    """The text is cut into this many segments."""
    if _done_by(step, token):
        return Change(Outcome.APPLIED, job, step)
    outcome = _held(job, step, token)
    if outcome is Outcome.APPLIED:
        job = replace(job, segments_total=segments)
        step = replace(step, state=StepState.DONE)
    return Change(outcome, job, step)


def finish_join(job: Job, step: Step, *, token: str, now: float, audio: Audio) -> Change:
    """The segments are joined and stored: the job has succeeded."""
    if _done_by(step, token):
        return Change(Outcome.APPLIED, job, step)
    outcome = _held(job, step, token)
    if outcome is Outcome.APPLIED:
        job = _succeeded(replace(job, stored_bytes=job.stored_bytes + audio.bytes), audio, now)
        step = replace(step, state=StepState.DONE, audio_address=audio.address, bytes=audio.bytes)
    return Change(outcome, job, step)


def fail(job: Job, step: Step, *, token: str, now: float, failure: Failure) -> Change:
    """The attempt ended for good: the job has failed."""
    outcome = _held(job, step, token)
    return Change(outcome, job.failed(failure, now=now) if outcome is Outcome.APPLIED else job, step)


def reopened(job: Job, steps: Iterable[Step]) -> tuple[Job, list[str]]:
    """Return a finished job as one that is worked on again, and its steps that are to be done, each as if for the first
    time: a person wants another try, or the audio was lost. What is spoken of a long job stays.
    """
    done = {step.name: step.bytes for step in steps if step.state is StepState.DONE and step.name != JOIN and job.long}
    left = [name for name in job.segments() if name not in done]
    again = replace(
        job,
        state=JobState.QUEUED,
        segments_done=job.segments_total - len(left),
        finished_at=None,
        audio_address=None,
        audio_seconds=0.0,
        failure=None,
        stored_bytes=sum(done.values()),
    )
    if job.long and not job.segments_total:
        return again, [PLAN]
    return again, left or [JOIN]


def _succeeded(job: Job, audio: Audio, now: float) -> Job:
    return replace(
        job, state=JobState.SUCCEEDED, finished_at=now, audio_address=audio.address, audio_seconds=audio.seconds
    )

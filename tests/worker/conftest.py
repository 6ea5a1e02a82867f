"""A worker on in-memory ports."""

import time
import uuid
from dataclasses import dataclass, field, replace

import pytest

from audio.encoding import decode
from shared.jobs import JOIN, PLAN, Audio, Job, Lane, SpeechRequest, Step
from shared.live import LiveSpeech
from tests.engines import ObedientEngine
from tests.fake_voices import InMemoryVoices
from tests.fakes import InMemoryJobStore, InMemoryObjectStore, InMemoryQueue
from worker.attempt import Ending, Verdict, attempt
from worker.engine import Imitation, Waveform
from worker.joining import join_job
from worker.lease import Lease, Leases
from worker.planning import plan
from worker.recent import Recent
from worker.runtime import Runtime
from worker.settings import WorkerSettings
from worker.synthesis import speak
from worker.watermark import NamedWatermark

REQUEST = SpeechRequest("", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)


@dataclass
class World:
    """A worker and all that it talks to."""

    jobs: InMemoryJobStore
    objects: InMemoryObjectStore
    queue: InMemoryQueue
    engine: ObedientEngine
    settings: WorkerSettings
    leases: Leases = field(default_factory=Leases)
    live: LiveSpeech | None = None
    voices: InMemoryVoices = field(default_factory=InMemoryVoices)
    imitations: Recent[Imitation] = field(default_factory=lambda: Recent[Imitation](9))
    watermark: NamedWatermark | None = None

    @property
    def runtime(self) -> Runtime:
        return Runtime(
            self.settings,
            self.jobs,
            self.objects,
            self.queue,
            self.engine,
            leases=self.leases,
            live=self.live,
            voices=self.voices,
            watermark=self.watermark,
            imitations=self.imitations,
        )

    def submit(self, text: str, *, long: bool = False, lane: Lane = Lane.INTERACTIVE, **fields: object) -> str:
        """Record a job as the gateway does, and return its id."""
        request = replace(REQUEST, text=text, **fields)  # pyright: ignore[reportArgumentType] - named by the test
        job_id = uuid.uuid4().hex
        total = 0 if long else 1
        job = Job(job_id, lane, len(text), time.time(), long=long, segments_total=total)
        self.jobs.add(job, request)
        return job_id

    def deliver(self, job_id: str, step: str = "0", *, redelivered: bool = False) -> Ending:
        """Hand the worker a message, as Celery's edge does."""

        def work(job: Job, request: SpeechRequest, lease: Lease) -> None:
            if step == PLAN:
                plan(job, request, lease, self.runtime)
            elif step == JOIN:
                join_job(job, request, lease, self.runtime)
            else:
                speak(job, step, request, lease, self.runtime)

        return attempt(job_id, step, redelivered=redelivered, runtime=self.runtime, work=work)

    def work_off(self, job_id: str, step: str) -> None:
        """Deliver the message and all that come of it."""
        waiting = [(job_id, step)]
        while waiting:
            self.queue.messages.clear()
            assert self.deliver(*waiting.pop(0)).verdict is Verdict.ACKNOWLEDGE
            waiting += [(one, name) for one, name, _ in self.queue.messages]

    def step(self, job_id: str, name: str = "0") -> Step:
        return self.jobs.steps[job_id][name]

    def audio(self, job_id: str) -> Audio:
        return self.jobs.stored[self.jobs.jobs[job_id].audio_address or ""]

    def segments(self, job_id: str) -> list[Audio]:
        """Return the audio of the segments of a long job, all of which are there."""
        found = self.jobs.segment_audio(job_id).values()
        return [audio for audio in found if isinstance(audio, Audio)]

    def stored(self, job_id: str) -> bytes:
        return self.objects.objects[self.audio(job_id).key]

    def heard(self, job_id: str) -> Waveform:
        return decode(self.stored(job_id))

    def failure(self, job_id: str) -> str:
        failure = self.jobs.jobs[job_id].failure
        return failure.code if failure else ""


@pytest.fixture
def world() -> World:
    return World(InMemoryJobStore(), InMemoryObjectStore(), InMemoryQueue(), ObedientEngine(), WorkerSettings())

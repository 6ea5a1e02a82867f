"""What a child process holds for its whole life: the engine and the stores."""

import logging
import time
from dataclasses import asdict, dataclass, field

from celery import Celery

from shared import tracing
from shared.advance import Books, Children
from shared.batch_jobs import Batches, RedisBatchJobs
from shared.batch_store import RedisBatches
from shared.book_store import RedisBooks
from shared.children import RedisChildJobs
from shared.job_store import RedisJobStore
from shared.jobs import Lane
from shared.lane_reader import LaneReader
from shared.live import LiveSpeech, RedisLiveSpeech
from shared.object_store import S3ObjectStore
from shared.ports import Catalogue, JobStore, ObjectStore, StepRef, WorkerJobQueue
from shared.queue import worker_queue
from shared.sweep_store import RedisSweepStore
from shared.voice_store import RedisVoices, Voices
from shared.webhook_store import RedisWebhooks
from worker.batching import SharedEngine, show_memory
from worker.companions import Companions, Terms
from worker.courier import Courier
from worker.engine import Engine, Imitates, Imitation, load_engine
from worker.grace import StuckWork
from worker.lease import Leases
from worker.metrics import COLD_STARTS, START_SECONDS, FirstStep
from worker.presence import Presence
from worker.ready_marks import ReadyMarks
from worker.recent import Recent
from worker.settings import WorkerSettings
from worker.superseded import Superseded
from worker.watermark import NamedWatermark, load_watermark

log = logging.getLogger(__name__)

IMITATIONS_KEPT = 64  # in the memory of a child; each is some kilobytes


@dataclass(frozen=True)
class Runtime:
    """Everything that a step needs. `engine` is None on assembly workers, which never speak."""

    settings: WorkerSettings
    jobs: JobStore
    objects: ObjectStore
    queue: WorkerJobQueue
    engine: Engine | None
    shared: SharedEngine | None = None  # the same engine, where jobs are spoken together
    companions: Companions | None = None
    leases: Leases = field(default_factory=Leases)
    first_step: FirstStep = field(default_factory=lambda: FirstStep(None))
    live: LiveSpeech | None = None
    voices: Voices | None = None  # of the tenants' own
    watermark: NamedWatermark | None = None
    imitations: Recent[Imitation] = field(default_factory=lambda: Recent(IMITATIONS_KEPT))
    courier: Courier | None = None  # from here on: on assembly workers
    children: Children | None = None
    books: Books | None = None
    batches: Batches | None = None
    superseded: Superseded | None = None

    @property
    def library(self) -> Voices:
        """The store of the tenants' own voices, where there has to be one."""
        if self.voices is None:
            raise RuntimeError("a worker without a store of voices got a library voice to speak with")
        return self.voices

    @property
    def speaker(self) -> Engine | SharedEngine | None:
        return self.shared or self.engine


def start_runtime(
    app: Celery, settings: WorkerSettings, ready: ReadyMarks, *, started_at: float | None = None
) -> Runtime:
    """Load the engine and warm it up, connect, and announce what the engine offers.

    Args:
        started_at: when the worker's process began, in Unix seconds; None for a child that replaces another.
    """
    tracing.start(settings, "worker")
    queue, objects = worker_queue(app), S3ObjectStore(settings)

    def send(step: StepRef) -> None:
        queue.enqueue(step.job_id, step.step, lane=step.lane)

    jobs = RedisJobStore(
        settings.redis_url.get_secret_value(),
        usage_days=settings.usage_days,
        windows=settings.windows,
        send=send,
    )
    leases, first_step = Leases(ready.handing_back), FirstStep(started_at)
    voices = RedisVoices(settings.redis_url.get_secret_value())
    StuckWork(leases, settings.grace).start()
    Presence(jobs, settings.lane, ready, leases).start()
    if not settings.speaks:
        url = settings.redis_url.get_secret_value()
        books, children = RedisBooks(url), RedisChildJobs(url, windows=settings.windows, send=send)
        return Runtime(
            settings,
            jobs,
            objects,
            queue,
            None,
            leases=leases,
            first_step=first_step,
            voices=voices,
            courier=Courier(RedisWebhooks(url), settings.webhooks),
            children=children,
            books=books,
            batches=Batches(RedisBatches(url), RedisBatchJobs(url, windows=settings.windows, send=send)),
            superseded=Superseded(books, children, RedisSweepStore(url)),
        )
    engine = _load(settings)
    shared = SharedEngine(engine) if gathers(engine, settings) else None
    _warm_up(shared or engine)
    show_memory(engine)
    jobs.announce(catalogue(engine), stand_in=settings.lane is Lane.STANDIN)
    companions = None
    if shared:
        terms = Terms(settings.gather_milliseconds / 1000, ready.draining)
        companions = Companions(LaneReader(app, settings.lane), shared, terms)
    live = RedisLiveSpeech(settings.redis_url.get_secret_value())
    watermark = load_watermark(settings.watermark)
    return Runtime(
        settings, jobs, objects, queue, engine, shared, companions, leases, first_step, live, voices, watermark
    )


def gathers(engine: Engine, settings: WorkerSettings) -> bool:
    """Whether messages are taken to be spoken together."""
    if engine.batch_size == 1 or not settings.gather_milliseconds:
        return False
    if not settings.broker_url.get_secret_value().startswith("amqp"):
        log.warning("each job is spoken by itself: jobs are spoken together over RabbitMQ only")
        return False
    log.info("jobs are spoken together", extra={"batch_size": engine.batch_size})
    return True


def catalogue(engine: Engine) -> Catalogue:
    return Catalogue(
        engine=engine.name,
        revision=engine.revision,
        sample_rate=engine.sample_rate,
        voices=tuple(asdict(voice) for voice in engine.voices),
        emotions=engine.emotions,
        free_text_emotion=engine.free_text_emotion,
        missing=engine.missing,
        controls=engine.controls,
        blends=engine.blends,
        imitates=isinstance(engine, Imitates),
    )


def _load(settings: WorkerSettings) -> Engine:
    started = time.perf_counter()
    engine = load_engine(settings.engine, settings.engine_options)
    START_SECONDS.labels("load").observe(time.perf_counter() - started)
    COLD_STARTS.inc()
    return engine


def _warm_up(engine: Engine | SharedEngine) -> None:
    started = time.perf_counter()
    engine.warm_up()
    START_SECONDS.labels("warm_up").observe(time.perf_counter() - started)

"""What a child process holds for its whole life: the engine and the stores."""

import time
from dataclasses import asdict, dataclass

from celery import Celery

from shared.job_store import RedisJobStore
from shared.object_store import S3ObjectStore
from shared.ports import Catalogue, JobQueue, JobStore, ObjectStore
from shared.queue import worker_queue
from worker.engine import Engine, load_engine
from worker.metrics import COLD_STARTS, LOAD_SECONDS
from worker.settings import WorkerSettings


@dataclass(frozen=True)
class Runtime:
    """Everything that a step needs. `engine` is None on assembly workers, which never speak."""

    settings: WorkerSettings
    jobs: JobStore
    objects: ObjectStore
    queue: JobQueue
    engine: Engine | None


def start_runtime(app: Celery, settings: WorkerSettings) -> Runtime:
    """Load the engine, connect, and announce what the engine offers."""
    jobs = RedisJobStore(settings.redis_url.get_secret_value())
    engine = _load(settings.engine) if settings.speaks else None
    if engine:
        jobs.announce(catalogue(engine))
    return Runtime(settings, jobs, S3ObjectStore(settings), worker_queue(app), engine)


def catalogue(engine: Engine) -> Catalogue:
    return Catalogue(
        engine=engine.name,
        revision=engine.revision,
        sample_rate=engine.sample_rate,
        voices=tuple(asdict(voice) for voice in engine.voices),
        emotions=engine.emotions,
        free_text_emotion=engine.free_text_emotion,
        missing=engine.missing,
    )


def _load(name: str) -> Engine:
    started = time.perf_counter()
    engine = load_engine(name)
    LOAD_SECONDS.set(time.perf_counter() - started)
    COLD_STARTS.inc()
    return engine

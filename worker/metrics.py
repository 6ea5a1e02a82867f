"""What a worker measures, over its main process and its children (multiprocess mode)."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 2.5, 5, 10, 30, 60, 120, 300)

QUEUE_WAIT = Histogram(
    "emotivoice_queue_wait_seconds", "From submission to the first start of a step", ["step"], buckets=_SECONDS
)
ENGINE_SECONDS = Histogram("emotivoice_engine_seconds", "Engine time of a segment", buckets=_SECONDS)
AUDIO_SECONDS = Counter("emotivoice_audio_seconds_total", "Seconds of audio spoken")
REAL_TIME_FACTOR = Histogram(
    "emotivoice_real_time_factor",
    "Engine seconds per second of audio",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5),
)
RETAKES = Counter("emotivoice_retakes_total", "Faults for which an utterance of a chapter was spoken again", ["reason"])
STEPS = Counter("emotivoice_steps_total", "Steps by what came of them", ["step", "outcome"])
RETRIES = Counter("emotivoice_step_retries_total", "Steps given back to be tried later", ["code"])
CACHE_HITS = Counter("emotivoice_cache_hits_total", "Segments found already spoken")
CACHE_MISSES = Counter("emotivoice_cache_misses_total", "Segments that had to be spoken")
EMBEDDINGS = Counter(
    "emotivoice_embedding_cache_total", "Speaker embeddings of clips by where they came from", ["result"]
)
IMITATIONS = Counter(
    "emotivoice_imitation_cache_total", "How an engine speaks like a clip, by where that came from", ["result"]
)
START_SECONDS = Histogram(
    "emotivoice_start_seconds",
    "What a start took: import, load and warm_up for themselves, ready and first_step from the start of the process",
    ["phase"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 25, 30, 45, 60, 120, 300),
)
READINESS_LOST = Counter("emotivoice_readiness_lost_total", "Times that a worker stopped taking messages", ["reason"])
COLD_STARTS = Counter("emotivoice_cold_starts_total", "Engine loads, of first and of replaced child processes")
BUSY = Gauge("emotivoice_busy_children", "Children that are at work", multiprocess_mode="livesum")
IN_HAND = Gauge("emotivoice_steps_in_hand", "Steps that are worked on now", multiprocess_mode="livesum")
BATCH_SIZE = Histogram(
    "emotivoice_batch_size", "Utterances in one call of the engine", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
CHILD_MEMORY = Gauge(
    "emotivoice_child_memory_bytes", "Resident memory of the child", multiprocess_mode="livemostrecent"
)
GPU_MEMORY = Gauge(
    "emotivoice_gpu_memory_bytes",
    "Memory of the GPU after the latest batch: allocated and reserved by the engine, free and total",
    ["kind"],
    multiprocess_mode="livemostrecent",
)
RECYCLED = Counter("emotivoice_children_recycled_total", "Children replaced because they had outgrown their memory")
WEBHOOK_DELIVERIES = Counter("emotivoice_webhook_deliveries_total", "Tries of webhooks by their outcome", ["outcome"])
WEBHOOK_SECONDS = Histogram("emotivoice_webhook_seconds", "Time until a webhook's receiver answered", buckets=_SECONDS)
WEBHOOKS_DISABLED = Counter("emotivoice_webhooks_disabled_total", "Webhooks that failed for too long")

_in_hand = 0
_counting = threading.Lock()


@contextmanager
def at_work() -> Generator[None]:
    """Count a step that is worked on. A child is busy with one as with many."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _in_hand  # noqa: PLW0603 - of the process, like the gauges
    with _counting:
        _in_hand += change
        IN_HAND.set(_in_hand)
        BUSY.set(1 if _in_hand else 0)


class FirstStep:
    """Measures, once, how long it took from the start of the process to the end of the first step."""

    def __init__(self, started_at: float | None) -> None:
        self._started_at = started_at  # Unix seconds; None in a child that replaces another

    def ended(self) -> None:
        started_at, self._started_at = self._started_at, None
        if started_at:
            START_SECONDS.labels("first_step").observe(time.time() - started_at)


def step_kind(step: str) -> str:
    """Return the step's name as a label: segments are not told apart by number."""
    return "segment" if step.isdigit() else step


def exposition() -> bytes:
    """Return the metrics of all processes of this worker in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    return generate_latest(registry)

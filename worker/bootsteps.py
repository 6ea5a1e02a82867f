"""What Celery's worker lacks: consume only when warm, drain on SIGTERM, tell its health over HTTP.

Each step answers a measured fault of the stock worker; docs/decisions/0001 has the measurements.
"""

import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer
from prometheus_client import multiprocess

from worker.health import Health, serve
from worker.metrics import READY_SECONDS, RECYCLED

log = logging.getLogger(__name__)

LOAD_FAILED = 70  # EX_SOFTWARE: the supervisor starts the pod again
POLL_SECONDS = 0.05
TICK_SECONDS = 0.2
DRAIN_TICK_SECONDS = 0.05


class ReadyMarks:
    """What main process and children tell each other by files: who is warm, who has outgrown, that no more is taken."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="emotivoice-ready-"))
        self._ready, self._retired = self._folder / "ready", self._folder / "retired"
        self._draining = self._folder / "draining"
        for folder in (self._ready, self._retired):
            folder.mkdir()

    def set(self) -> None:
        """Mark the calling child as ready."""
        (self._ready / str(os.getpid())).touch()

    def retire(self) -> None:
        """Mark the calling child as one to be replaced as soon as it has nothing in hand."""
        (self._retired / str(os.getpid())).touch()

    def has(self, pid: int) -> bool:
        """Whether the child is ready, and to be kept."""
        return (self._ready / str(pid)).exists() and not self.retired(pid)

    def retired(self, pid: int) -> bool:
        return (self._retired / str(pid)).exists()

    def drain(self) -> None:
        self._draining.touch()

    def draining(self) -> bool:
        """Whether the worker takes no more messages: children that take some themselves ask."""
        return self._draining.exists()

    def drop_gone(self, alive: Collection[int]) -> frozenset[int]:
        """Return the marked children that are not alive, and remove their marks."""
        gone = frozenset(int(mark.name) for mark in self._ready.iterdir()).difference(alive)
        for pid in gone:
            (self._ready / str(pid)).unlink(missing_ok=True)
            (self._retired / str(pid)).unlink(missing_ok=True)
        return gone

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def warm_gate(ready: ReadyMarks, *, after: type[bootsteps.Step], load_limit_seconds: float) -> type[bootsteps.Step]:
    """Return a step between the pool and the consumer. Without it a message waits for the whole load of the model."""

    class WarmGate(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool", after)

        def start(self, parent: Any) -> None:
            deadline = time.monotonic() + load_limit_seconds
            while not all(ready.has(child.pid) for child in _children(parent)):
                state.maybe_shutdown()  # SIGTERM works while the model loads
                if any(not child.is_alive() for child in _children(parent)):
                    self._give_up("a child died while it loaded the engine")
                if time.monotonic() > deadline:
                    self._give_up(f"the engine was not loaded within {load_limit_seconds:g} s")
                time.sleep(POLL_SECONDS)
            with parent.app.connection_for_read() as connection:  # the consumer itself waits 2, 4, 6 s between tries
                connection.ensure_connection(
                    interval_start=0.1, interval_step=0.1, interval_max=1, callback=state.maybe_shutdown
                )

        def _give_up(self, reason: str) -> None:
            log.critical("the worker can't start: %s", reason)
            os._exit(LOAD_FAILED)  # nothing looks after the pool before the event loop runs

    return WarmGate


def guard(ready: ReadyMarks, health: Health, *, started_at: float) -> type[bootsteps.Step]:
    """Return a consumer step that ticks in the event loop: children watched, consuming paused, draining finished."""

    class Guard(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._timers: list[Any] = []
            self._consuming = True
            self._connected = False

        def start(self, parent: Any) -> None:
            self._consuming = self._connected = True
            self._timers = [
                parent.timer.call_repeatedly(TICK_SECONDS, self._watch, (parent,)),
                parent.timer.call_repeatedly(DRAIN_TICK_SECONDS, self._drain, (parent,)),
            ]
            signal.signal(signal.SIGTERM, self._asked_to_stop)
            if not health.was_ready:
                READY_SECONDS.set(time.time() - started_at)
                log.info("consuming", extra={"ready_seconds": round(time.time() - started_at, 3)})
            health.consuming(True)

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            for timer in self._timers:
                timer.cancel()
            self._connected = False
            health.disconnected()
            self._stop_unless_connected()

        def _asked_to_stop(self, *_: Any) -> None:
            health.draining = True
            ready.drain()
            self._stop_unless_connected()

        def _stop_unless_connected(self) -> None:
            """Without a broker nothing can be acknowledged: stop now, and what is in hand comes again."""
            if health.draining and not self._connected:
                state.should_stop = 0

        def _watch(self, parent: Any) -> None:
            """Consume only while every child is warm: a message would wait for the load in this worker's buffer."""
            health.tick()
            children = {child.pid for child in _children(parent.controller)}
            for gone in ready.drop_gone(children):  # even a child that came and went between two ticks
                multiprocess.mark_process_dead(gone)  # pyright: ignore[reportUnknownMemberType] - untyped
            if health.draining:
                return
            warm = all(ready.has(pid) for pid in children)
            if not warm:
                parent.controller.pool._pool.maintain_pool()  # which Celery does every 5 s
            if warm != self._consuming:
                log.warning("consuming again" if warm else "paused until a child that was lost or outgrew is replaced")
                self._consume(parent, warm)
            elif not warm and _idle():
                self._replace(parent)

        def _replace(self, parent: Any) -> None:
            """End the children that have outgrown; the pool starts new ones. Nothing is in hand, and nothing comes."""
            for child in _children(parent.controller):
                if ready.retired(child.pid) and not getattr(child, "_controlled_termination", False):
                    child._controlled_termination = True  # billiard logs the end of others as an error
                    os.kill(child.pid, signal.SIGTERM)
                    RECYCLED.inc()

        def _drain(self, parent: Any) -> None:
            """Take no more messages, but keep the loop and its heartbeats until the work in hand is acknowledged."""
            if not health.draining:
                return
            if self._consuming:
                log.info("draining: no more messages are taken")
                self._consume(parent, False)
            if _idle():
                state.should_stop = 0

        def _consume(self, parent: Any, on: bool) -> None:
            self._consuming = on
            health.consuming(on)
            if on:
                parent.task_consumer.consume()
            else:
                parent.task_consumer.cancel()

    return Guard


def health_server(health: Health, *, host: str, port: int) -> type[bootsteps.Step]:
    """Return a step that serves /livez, /readyz and /metrics, from before the engine is loaded."""

    class HealthServer(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            serve(health, host=host, port=port)

    return HealthServer


class SafeConsumer(Consumer):
    """Sends a message that can't be decoded to the dead-letter queue; the stock consumer acknowledges it away."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        log.critical("a message can't be decoded and goes to the dead-letter queue: %s", exc)
        message.reject()


def _idle() -> bool:
    """Whether the worker has no message in hand."""
    return not state.reserved_requests and not state.active_requests


def _children(worker: Any) -> list[Any]:
    return list(worker.pool._pool._pool)  # billiard has no public list of its processes

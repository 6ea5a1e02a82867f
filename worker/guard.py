"""What the main process does while it consumes: it looks after its children, and stops without losing anything."""

import logging
import os
import signal
import time
from functools import partial
from typing import Any

from celery.worker import state
from prometheus_client import multiprocess

from worker.grace import Countdown
from worker.health import Health
from worker.metrics import READINESS_LOST, RECYCLED, START_SECONDS
from worker.ready_marks import ReadyMarks

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
DRAIN_TICK_SECONDS = 0.05


class Guard:
    """Ticks in Celery's event loop, from each connection to the broker until it is lost."""

    def __init__(self, ready: ReadyMarks, health: Health, countdown: Countdown, *, started_at: float) -> None:
        self._ready = ready
        self._health = health
        self._countdown = countdown
        self._started_at = started_at
        self._timers: list[Any] = []
        self._consuming = True
        self._connected = False

    def connected(self, consumer: Any) -> None:
        self._consuming = self._connected = True
        self._timers = [
            consumer.timer.call_repeatedly(TICK_SECONDS, self._watch, (consumer,)),
            consumer.timer.call_repeatedly(DRAIN_TICK_SECONDS, self._drain, (consumer,)),
        ]
        signal.signal(signal.SIGTERM, partial(self._asked_to_stop, consumer.controller.pool._pool))
        if not self._health.was_ready:
            START_SECONDS.labels("ready").observe(time.time() - self._started_at)
            log.info("consuming", extra={"ready_seconds": round(time.time() - self._started_at, 3)})
        self._tell(True)

    def disconnected(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._connected and not self._health.draining:
            READINESS_LOST.labels("broker").inc()
        self._connected = False
        self._health.disconnected()
        self._ready.consume(False)
        self._stop_unless_connected()

    def _asked_to_stop(self, pool: Any, *_: Any) -> None:
        pool._processes = 0  # a child that is lost now is not replaced: the load of the new one would be waited for
        self._health.draining = True
        self._ready.drain()
        self._countdown.begin()
        self._stop_unless_connected()

    def _stop_unless_connected(self) -> None:
        """Without a broker nothing can be acknowledged: stop now, and what is in hand comes again."""
        if self._health.draining and not self._connected:
            state.should_stop = 0

    def _watch(self, consumer: Any) -> None:
        """Consume only while every child is warm: a message would wait for the load in this worker's buffer."""
        self._health.tick()
        if not all(child.is_alive() for child in children(consumer.controller)):
            consumer.controller.pool._pool.maintain_pool()  # Celery itself may take 5 s to see that
        alive = {child.pid for child in children(consumer.controller)}
        for gone in self._ready.drop_gone(alive):  # even a child that came and went between two ticks
            multiprocess.mark_process_dead(gone)  # pyright: ignore[reportUnknownMemberType] - untyped
        if self._health.draining:
            return
        warm = all(self._ready.has(pid) for pid in alive)
        if not warm:
            consumer.controller.pool._pool.maintain_pool()  # starts the replacement
        if warm != self._consuming:
            log.warning("consuming again" if warm else "paused until a child that was lost or outgrew is replaced")
            if not warm:
                READINESS_LOST.labels("child").inc()
            self._consume(consumer, warm)
        elif not warm and _idle():
            self._replace(consumer)

    def _replace(self, consumer: Any) -> None:
        """End the children that have outgrown; the pool starts new ones. Nothing is in hand, and nothing comes."""
        for child in children(consumer.controller):
            if self._ready.retired(child.pid) and not getattr(child, "_controlled_termination", False):
                child._controlled_termination = True  # billiard logs the end of others as an error
                os.kill(child.pid, signal.SIGKILL)  # it does not listen to SIGTERM
                RECYCLED.inc()

    def _drain(self, consumer: Any) -> None:
        """Take no more messages, but keep the loop and its heartbeats until the work in hand is acknowledged."""
        if not self._health.draining:
            return
        if self._consuming:
            log.info("draining: no more messages are taken")
            self._consume(consumer, False)
        if _idle():
            state.should_stop = 0

    def _consume(self, consumer: Any, on: bool) -> None:
        self._consuming = on
        self._tell(on)
        if on:
            consumer.task_consumer.consume()
        else:
            consumer.task_consumer.cancel()

    def _tell(self, on: bool) -> None:
        self._health.consuming(on)
        self._ready.consume(on)


def children(worker: Any) -> list[Any]:
    return list(worker.pool._pool._pool)  # billiard has no public list of its processes


def _idle() -> bool:
    """Whether the worker has no message in hand."""
    return not state.reserved_requests and not state.active_requests

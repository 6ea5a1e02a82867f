"""What Celery's worker lacks: consume only when warm, drain on SIGTERM, tell its health over HTTP.

Each step answers a measured fault of the stock worker; docs/decisions/0001 has the measurements.
"""

import logging
import os
import time
from functools import partial
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer

from shared.health_server import serve
from worker.guard import Guard, children
from worker.health import Health
from worker.ready_marks import ReadyMarks

log = logging.getLogger(__name__)

LOAD_FAILED = 70  # EX_SOFTWARE: the supervisor starts the pod again
POLL_SECONDS = 0.05


def warm_gate(
    ready: ReadyMarks, health: Health, *, after: type[bootsteps.Step], load_limit_seconds: float
) -> type[bootsteps.Step]:
    """Return a step between the pool and the consumer. Without it a message waits for the whole load of the model."""

    class WarmGate(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool", after)

        def start(self, parent: Any) -> None:
            deadline = time.monotonic() + load_limit_seconds
            while not all(ready.has(child.pid) for child in children(parent)):
                state.maybe_shutdown()  # SIGTERM works while the model loads
                if any(not child.is_alive() for child in children(parent)):
                    self._give_up("a child died while it loaded the engine")
                if time.monotonic() > deadline:
                    self._give_up(f"the engine was not loaded within {load_limit_seconds:g} s")
                time.sleep(POLL_SECONDS)
            health.loaded = True
            with parent.app.connection_for_read() as connection:  # the consumer itself waits 2, 4, 6 s between tries
                connection.ensure_connection(
                    interval_start=0.1, interval_step=0.1, interval_max=1, callback=state.maybe_shutdown
                )

        def _give_up(self, reason: str) -> None:
            log.critical("the worker can't start: %s", reason)
            os._exit(LOAD_FAILED)  # nothing looks after the pool before the event loop runs

    return WarmGate


def guard_step(guard: Guard) -> type[bootsteps.Step]:
    """Return a step that tells the guard when the broker is there and when it is gone."""

    class GuardStep(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            guard.connected(parent)

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            guard.disconnected()

    return GuardStep


def health_server(health: Health, *, host: str, port: int) -> type[bootsteps.Step]:
    """Return a step that serves /startupz, /livez, /readyz and /metrics, from before the engine is loaded."""

    class HealthServer(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            serve(health, host=host, port=port)

    return HealthServer


class SafeConsumer(Consumer):
    """The stock consumer acknowledges away what it can't decode, and is slow to notice that the broker is back."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        log.critical("a message can't be decoded and goes to the dead-letter queue: %s", exc)
        message.reject()

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, for as long as it takes; by default the time between two tries grows to 30 s."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=5)
        return super().ensure_connected(conn)

"""Has webhooks sent whose time has come: the first time, and at each try that follows.

The commit that ends a job lets its event be due, so there is no message that could be lost: what a worker does not
settle is due again.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from shared.errors import JobError
from shared.webhook_store import SENT_AGAIN_SECONDS
from shared.webhooks import Delivery
from sweeper.metrics import ROUNDS, WEBHOOKS_WAITING

log = logging.getLogger(__name__)

MOST = 500  # in one round


class Webhooks(Protocol):
    """What is needed of shared.webhook_store.RedisWebhooks, which says what each does."""

    def due(self, *, now: float, limit: int) -> list[str]: ...
    def waiting(self) -> int: ...
    def put_off(self, name: str, *, until: float) -> None: ...
    def split(self, event_id: str, *, now: float) -> list[Delivery]: ...


class Lanes(Protocol):
    """What is needed of shared.queue.SweeperQueue."""

    def deliver(self, name: str) -> None: ...


class Relay:
    """Works where the sweeper does."""

    def __init__(self, webhooks: Webhooks, lanes: Lanes, *, clock: Callable[[], float] = time.time) -> None:
        self._webhooks = webhooks
        self._lanes = lanes
        self._clock = clock
        self._trouble = ""  # why it could not be done, as was logged

    def round(self, *, go_on: Callable[[], bool] = lambda: True) -> None:
        """Send what is due. A server that is away is a matter for the next round."""
        try:
            self._send_due(go_on)
            outcome = "done"
        except JobError as error:
            outcome = error.code
            if outcome != self._trouble:  # once, not in each round
                log.warning("webhooks: %s", error)
        except Exception:  # the edge of a thread
            outcome = "internal_error"
            if outcome != self._trouble:
                log.exception("webhooks: unexpected failure")
        self._trouble = "" if outcome == "done" else outcome
        ROUNDS.labels("webhooks", outcome).inc()

    def stand_by(self) -> None:
        """Another sweeper works, and tells."""
        WEBHOOKS_WAITING.set(0)

    def _send_due(self, go_on: Callable[[], bool]) -> None:
        now = self._clock()
        for name in self._webhooks.due(now=now, limit=MOST):
            # A delivery is named by its event and its webhook.
            deliveries = [name] if ":" in name else [each.name for each in self._webhooks.split(name, now=now)]
            for each in deliveries:
                if not go_on():
                    return
                self._send(each, now)
        WEBHOOKS_WAITING.set(self._webhooks.waiting())

    def _send(self, name: str, now: float) -> None:
        self._webhooks.put_off(name, until=now + SENT_AGAIN_SECONDS)  # first: a worker may be done before we are
        try:
            self._lanes.deliver(name)
        except JobError:
            self._webhooks.put_off(name, until=now)
            raise

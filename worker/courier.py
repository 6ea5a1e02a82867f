"""Takes webhooks to their receivers, beside the child's other work: a receiver that is slow must not hold up a join.

What is on its way is due in Redis (`shared/webhook_store.py`), so nothing is lost with this process, or with a message
that is acknowledged while its delivery goes on. A receiver may get a delivery twice, with the same id.
"""

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from shared.errors import StoreUnavailable
from shared.logging import job_id, tenant
from shared.outbound import Answer, Rules, TargetRefused, TargetUnreachable, send
from shared.webhooks import (
    DISABLE_DAYS,
    OF_JOBS,
    RETRY_SECONDS,
    Attempt,
    Delivery,
    DeliveryState,
    Event,
    Webhook,
    signatures,
)
from worker.metrics import WEBHOOK_DELIVERIES, WEBHOOK_SECONDS, WEBHOOKS_DISABLED

log = logging.getLogger(__name__)

THREADS = 16
MOST_FOR_ONE = 4  # of these for one receiver, so that one that hangs leaves room for others
FULL_SECONDS = 5.0  # until what found no room is sent again
RESOLVER_SECONDS = 60.0  # which has limits of its own, beyond the time for an answer
LONGEST_WAIT_SECONDS = 24 * 3600.0  # that a receiver may wish for
GONE = 410
DAY_SECONDS = 24 * 3600
OUTCOMES = {
    DeliveryState.SUCCEEDED: "succeeded",
    DeliveryState.WAITING: "failed",  # and is tried again
    DeliveryState.FAILED: "given_up",
}
Parcel = tuple[Delivery, Event, Webhook]


class Webhooks(Protocol):
    """What is needed of shared.webhook_store.RedisWebhooks, which says what each does."""

    def claim(self, name: str, *, token: str, seconds: float) -> bool: ...
    def load(self, name: str) -> Parcel | None: ...
    def put_off(self, name: str, *, until: float) -> None: ...
    def settle(self, delivery: Delivery, *, token: str) -> None: ...
    def drop(self, name: str) -> None: ...
    def works(self, webhook: Webhook) -> None: ...
    def fails(self, webhook: Webhook, *, now: float) -> float: ...
    def disable(self, webhook: Webhook, reason: str) -> bool: ...


@dataclass(frozen=True)
class Terms:
    """How it is tried."""

    rules: Rules = field(default_factory=Rules)
    answer_seconds: float = 15.0
    retry_seconds: Sequence[float] = RETRY_SECONDS
    disable_days: float = DISABLE_DAYS


class Courier:
    """Of one child."""

    def __init__(self, webhooks: Webhooks, terms: Terms) -> None:
        self._webhooks = webhooks
        self._terms = terms
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")
        self._counting = threading.Lock()
        self._in_hand: Counter[tuple[str, str]] = Counter()  # by tenant and receiver

    def take(self, name: str) -> None:
        """Begin a delivery, or have it sent again soon if there is no room for it.

        Raises:
            StoreUnavailable: Redis is away; the sweeper has it sent again.
        """
        parcel = self._webhooks.load(name)
        if parcel is None:
            self._webhooks.drop(name)
            return
        receiver = (parcel[0].tenant, urlsplit(_url(parcel)).netloc)
        if not self._room(receiver):
            self._webhooks.put_off(name, until=time.time() + FULL_SECONDS)
            return
        try:
            token, seconds = uuid.uuid4().hex, self._terms.answer_seconds + RESOLVER_SECONDS
            self._webhooks.put_off(name, until=time.time() + seconds)  # if this process dies
            if self._webhooks.claim(name, token=token, seconds=seconds):
                self._threads.submit(self._deliver, parcel, token, receiver)
                return
        except BaseException:  # whatever it is, the place is free again
            self._leave(receiver)
            raise
        self._leave(receiver)  # it came twice

    def close(self) -> None:
        """Finish what is on its way."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _room(self, receiver: tuple[str, str]) -> bool:
        with self._counting:
            if self._in_hand.total() >= THREADS or self._in_hand[receiver] >= MOST_FOR_ONE:
                return False
            self._in_hand[receiver] += 1
            return True

    def _leave(self, receiver: tuple[str, str]) -> None:
        with self._counting:
            self._in_hand[receiver] -= 1
            if not self._in_hand[receiver]:
                del self._in_hand[receiver]

    def _deliver(self, parcel: Parcel, token: str, receiver: tuple[str, str]) -> None:
        delivery = parcel[0]
        tenant.set(delivery.tenant)
        job_id.set(delivery.job_id)
        try:
            self._webhooks.settle(self._tried(parcel), token=token)
        except StoreUnavailable:
            log.warning("the outcome of a webhook could not be recorded: it will be sent again")
        except Exception:  # the edge of a thread
            log.exception("unexpected failure")
        finally:
            self._leave(receiver)

    def _tried(self, parcel: Parcel) -> Delivery:
        delivery, event, hook = parcel
        if hook.disabled:
            WEBHOOK_DELIVERIES.labels("dropped").inc()
            return delivery.given_up()
        attempt, answer = self._attempt(event, hook, _url(parcel))
        wait = _wish(answer) if answer else 0.0
        after = delivery.tried(attempt, delays=self._terms.retry_seconds, wait_seconds=wait)
        outcome = OUTCOMES[after.state]
        WEBHOOK_DELIVERIES.labels(outcome).inc()
        WEBHOOK_SECONDS.observe(attempt.seconds)
        facts = {"webhook": hook.id, "event": event.id, "outcome": outcome, "status": attempt.status}
        log.info("webhook tried", extra=facts | {"reason": attempt.error, "seconds": attempt.seconds})
        if hook.id != OF_JOBS:
            self._note_health(hook, attempt)
        return after

    def _attempt(self, event: Event, hook: Webhook, url: str) -> tuple[Attempt, Answer | None]:
        body, now = event.body(), time.time()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "EmotiVoice-Fleet/1",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signatures(event.id, int(now), body, hook.signing(now=now)),
        }
        status, error, answer = None, "", None
        try:
            answer = send(
                "POST",
                url,
                rules=self._terms.rules,
                body=body,
                headers=headers,
                seconds=self._terms.answer_seconds,
                most_bytes=1,  # nobody reads it
            )
            status = answer.status
            error = "" if 200 <= status < 300 else f"it answered {status}"
        except (TargetRefused, TargetUnreachable) as failure:
            error = str(failure)
        return Attempt(now, round(time.time() - now, 3), status, error), answer

    def _note_health(self, hook: Webhook, attempt: Attempt) -> None:
        if not attempt.error:
            if hook.failing_since:
                self._webhooks.works(hook)
            return
        since = self._webhooks.fails(hook, now=attempt.at)
        days = (attempt.at - since) / DAY_SECONDS
        if attempt.status == GONE:
            reason = "it answered 410: it is gone"
        elif days > self._terms.disable_days:
            reason = f"it has taken nothing for {days:.1f} days; the latest time {attempt.error}"
        else:
            return
        if self._webhooks.disable(hook, reason):
            WEBHOOKS_DISABLED.inc()
            log.warning("webhook disabled", extra={"webhook": hook.id, "reason": reason})


def _url(parcel: Parcel) -> str:
    _, event, hook = parcel
    return event.job.webhook_url if hook.id == OF_JOBS and event.job else hook.url


def _wish(answer: Answer) -> float:
    """Return for how long the receiver wishes to be left in peace."""
    asked = answer.headers.get("retry-after", "")
    wished = float(asked) if answer.status in (429, 503) and asked.isascii() and asked.isdigit() else 0.0
    return min(wished, LONGEST_WAIT_SECONDS)

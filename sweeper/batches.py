"""Looks after batches: begins what a gateway could not, and lets those go whose time is over, with all they have."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from shared.batches import NO_SPEECH, Batch, Wanted
from shared.jobs import Job, SpeechRequest
from sweeper import emptying
from sweeper.emptying import Records, emptied

log = logging.getLogger(__name__)

BATCHES_A_ROUND = 100
BEGINNING_SECONDS = 60.0  # from a batch's record to its pass's job: a gateway that takes longer is gone
SECONDS_A_ROUND = 5.0  # a batch may have a hundred thousand jobs: the rest is for later rounds


class Batches(Protocol):
    """What is needed of shared.batch_store.RedisBatches."""

    def get(self, batch_id: str) -> Batch | None: ...
    def not_begun(self, *, before: float, limit: int) -> list[str]: ...
    def begun(self, batch_id: str) -> None: ...
    def due(self, *, now: float, limit: int) -> list[str]: ...
    def look_later(self, batch_id: str, at: float) -> None: ...
    def last_change(self, batch: Batch) -> float: ...
    def unlisted(self, batch_id: str) -> None: ...
    def forget(self, batch: Batch) -> None: ...


class Children(emptying.Children, Protocol):
    """What is needed of shared.children.RedisChildJobs."""

    def create(self, job: Job, request: SpeechRequest) -> bool: ...


class BatchCare:
    """A part of the sweeper's round."""

    def __init__(
        self, batches: Batches, children: Children, records: Records, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._batches, self._children, self._records = batches, children, records
        self._clock = clock

    def begin(self, go_on: Callable[[], bool]) -> None:
        """Begin the passes of batches whose gateway died before it could; the pass before may not have been ended."""
        before = self._clock() - BEGINNING_SECONDS
        for batch_id in self._batches.not_begun(before=before, limit=BATCHES_A_ROUND):
            if not go_on():
                return
            batch = self._batches.get(batch_id)
            if batch and batch.wanted is not Wanted.DELETE:
                self._records.remove(batch.job_of_pass(batch.passes - 1), now=self._clock())
                self._children.create(batch.pass_job(now=self._clock()), NO_SPEECH)
                log.warning("a batch's pass was begun for its gateway", extra={"batch": batch_id})
            self._batches.begun(batch_id)

    def expire(self, go_on: Callable[[], bool]) -> None:
        """Remove the jobs of batches that are to go, then forget the batches; their objects are garbage then.

        A batch's time begins anew with each change of a job of it. Its jobs expire by themselves, which is the last
        of these changes: so it goes when they are forgotten.
        """
        until = self._clock() + SECONDS_A_ROUND

        def in_time() -> bool:
            return go_on() and self._clock() < until

        for batch_id in self._batches.due(now=self._clock(), limit=BATCHES_A_ROUND):
            batch = self._batches.get(batch_id)
            if batch is None:
                self._batches.unlisted(batch_id)
            elif self._stays_until(batch) > self._clock():
                self._batches.look_later(batch_id, self._stays_until(batch))
            elif emptied(batch.id, self._children, self._records, go_on=in_time, clock=self._clock):
                self._batches.forget(batch)
                log.info("a batch is forgotten", extra={"batch": batch_id})

    def _stays_until(self, batch: Batch) -> float:
        if batch.wanted is Wanted.DELETE:
            return 0.0
        return self._batches.last_change(batch) + batch.keep_seconds

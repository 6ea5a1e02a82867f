"""One round of the sweeper: send again what lost its message, expire what is due, delete what nobody needs.

Everything here may be done twice, or broken off anywhere: what is left is done in a later round.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from shared.errors import AudioMissing, JobError, StorageUnavailable
from shared.jobs import JobState, Lane
from shared.ports import StepRef
from sweeper.metrics import (
    DEAD_LETTERS,
    EXPIRED,
    FORGOTTEN,
    GARBAGE,
    OBJECTS_DELETED,
    REPUBLISHED,
    ROUND_ENDED,
    ROUND_SECONDS,
    ROUNDS,
    WORKING,
)
from sweeper.pod_costs import PodsUnreachable

log = logging.getLogger(__name__)

JOBS_A_ROUND = 1000
OBJECTS_A_ROUND = 500
MOST_FAILURES = 3  # in one round, before S3 is left in peace
MESSAGES_A_LOCK = 500


class Records(Protocol):
    """What is needed of shared.sweep_store.RedisSweepStore, which says what each does."""

    def alone(self, name: str, *, seconds: float) -> bool: ...
    def stranded(self, lane: Lane, *, now: float, ready_messages: int, patience: float) -> list[StepRef]: ...
    def lapsed(self, *, now: float, ready_messages: Mapping[Lane, int], patience: float) -> list[StepRef]: ...
    def ready(self, lane: Lane, *, now: float) -> list[StepRef]: ...
    def due(self, *, now: float, limit: int) -> list[str]: ...
    def expire(self, job_id: str, *, now: float) -> JobState | None: ...
    def doomed(self, *, garbage_before: float, uploads_before: float, limit: int) -> list[str]: ...
    def deleted(self, keys: list[str]) -> None: ...
    def spared(self, keys: list[str], *, now: float) -> None: ...
    def busy_workers(self, *, now: float) -> set[str]: ...


class Lanes(Protocol):
    """What is needed of shared.queue.SweeperQueue."""

    def enqueue(self, job_id: str, step: str, *, lane: Lane) -> None: ...
    def ready_messages(self) -> dict[Lane, int]: ...
    def dead_letters(self) -> int: ...


class Objects(Protocol):
    """What is needed of the object store."""

    def delete(self, key: str) -> None: ...


class Parents(Protocol):
    """What is needed of sweeper.books.BookCare."""

    def advance(self, go_on: Callable[[], bool]) -> None: ...
    def expire(self, go_on: Callable[[], bool]) -> None: ...


class Batches(Protocol):
    """What is needed of sweeper.batches.BatchCare."""

    def begin(self, go_on: Callable[[], bool]) -> None: ...
    def expire(self, go_on: Callable[[], bool]) -> None: ...


class Voices(Protocol):
    """What is needed of sweeper.voices.VoiceCare."""

    def look(self, go_on: Callable[[], bool]) -> None: ...


class WorkerPods(Protocol):
    """What is needed of sweeper.pod_costs.Pods."""

    def spare(self, busy: set[str]) -> int: ...


@dataclass(frozen=True)
class Servers:
    """Whom the sweeper talks to."""

    records: Records
    lanes: Lanes
    objects: Objects
    pods: WorkerPods | None = None  # None: it does not look after them
    books: Parents | None = None
    batches: Batches | None = None
    voices: Voices | None = None


@dataclass(frozen=True)
class Terms:
    """How long is long enough, in seconds."""

    patience: float  # for a step without a message
    upload: float  # from the moment that a worker begins audio until it is given up
    lock: float  # until another sweeper takes over from one that is gone; below 600, how long garbage stays marked


class Sweeper:
    """One of those that run; only one of them works at a time."""

    def __init__(
        self,
        name: str,
        servers: Servers,
        terms: Terms,
        *,
        go_on: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._records, self._lanes, self._objects = servers.records, servers.lanes, servers.objects
        self._terms = terms
        self._go_on = go_on  # asked before each thing that is done
        self._clock = clock
        self._working = False
        self._troubles: dict[str, str] = {}  # part -> why it can't be done, as was logged
        self._parts: dict[str, Callable[[], None]] = {
            "republish": self._republish,
            "expire": self._expire,
            "delete": self._delete,
            "dead_letters": self._count_dead_letters,
        }
        if servers.books:
            self._parts["books"] = partial(servers.books.advance, self._go_on)
            self._parts["expire_books"] = partial(servers.books.expire, self._go_on)
        if servers.batches:
            self._parts["batches"] = partial(servers.batches.begin, self._go_on)
            self._parts["expire_batches"] = partial(servers.batches.expire, self._go_on)
        if servers.voices:
            self._parts["voices"] = partial(servers.voices.look, self._go_on)
        if servers.pods:
            self._parts["pods"] = partial(self._spare_busy, servers.pods)

    def round(self) -> bool:
        """Do what is to be done, unless another sweeper does; return whether Redis answered at its start.

        A part that fails does not keep the others from being done.
        """
        began = self._clock()
        answered = self._part("lock", self._ask_to_work)
        if answered and self._working:
            for name, do in self._parts.items():
                if self._go_on():
                    self._part(name, do)
            ROUND_SECONDS.set(self._clock() - began)
            ROUND_ENDED.set(self._clock())
        return answered

    @property
    def working(self) -> bool:
        """Whether no other sweeper works, as of the latest round."""
        return self._working

    def leave(self) -> None:
        """Let another sweeper take over soon."""
        if self._working:
            self._part("lock", lambda: self._records.alone(self._name, seconds=1))

    def _part(self, name: str, do: Callable[[], object]) -> bool:
        """Do one part, count what came of it, and return whether it was done."""
        try:
            do()
        except (JobError, PodsUnreachable) as error:  # a server is away
            outcome = error.code
            if self._troubles.get(name) != outcome:  # once, not in each round
                log.warning("%s: %s", name, error)
        except Exception:  # the edge of a part: a fault in it must not keep the rest from being done
            outcome = "internal_error"
            if self._troubles.get(name) != outcome:
                log.exception("%s: unexpected failure", name)
        else:
            if self._troubles.pop(name, None):
                log.info("%s: it works again", name)
            ROUNDS.labels(name, "done").inc()
            return True
        self._troubles[name] = outcome
        ROUNDS.labels(name, outcome).inc()
        return False

    def _ask_to_work(self) -> None:
        working = self._records.alone(self._name, seconds=self._terms.lock)
        if working != self._working:
            log.info("working" if working else "standing by: another sweeper works")
        self._working = working
        WORKING.set(working)
        if not working:  # whoever works tells them
            DEAD_LETTERS.set(0)
            GARBAGE.set(0)

    def _republish(self) -> None:
        ready, now = self._lanes.ready_messages(), self._clock()  # asked first: what is found is not found again soon
        for lane in Lane:
            lost = self._records.stranded(lane, now=now, ready_messages=ready[lane], patience=self._terms.patience)
            self._send("stranded", lost)
            self._send("parked", self._records.ready(lane, now=now))
        lost = self._records.lapsed(now=now, ready_messages=ready, patience=self._terms.patience)
        self._send("lapsed", lost)

    def _send(self, reason: str, steps: Sequence[StepRef]) -> None:
        if steps:
            first = f"{steps[0].job_id}:{steps[0].step}"
            log.warning("sending steps again", extra={"reason": reason, "steps": len(steps), "first": first})
        for number, each in enumerate(steps):
            if not self._go_on():
                return
            if number % MESSAGES_A_LOCK == MESSAGES_A_LOCK - 1:
                self._ask_to_work()
            self._lanes.enqueue(each.job_id, each.step, lane=each.lane)
            REPUBLISHED.labels(each.lane, reason).inc()

    def _expire(self) -> None:
        now = self._clock()
        expired = forgotten = 0
        for job_id in self._records.due(now=now, limit=JOBS_A_ROUND):
            if not self._go_on():
                break
            state = self._records.expire(job_id, now=now)
            if state is JobState.EXPIRED:
                EXPIRED.inc()
                expired += 1
            elif state is None:
                FORGOTTEN.inc()
                forgotten += 1
        if expired or forgotten:
            log.info("jobs expired", extra={"expired": expired, "forgotten": forgotten})

    def _delete(self) -> None:
        self._ask_to_work()  # again: an object may be stored anew once another sweeper has deleted it
        if not self._working:
            return
        now = self._clock()
        keys = self._records.doomed(
            garbage_before=now - self._terms.patience, uploads_before=now - self._terms.upload, limit=OBJECTS_A_ROUND
        )
        gone: list[str] = []
        failures: list[StorageUnavailable] = []
        for key in keys:
            if not self._go_on() or len(failures) == MOST_FAILURES or self._clock() - now > self._terms.lock / 2:
                break
            try:
                self._objects.delete(key)
            except AudioMissing:
                gone.append(key)
            except StorageUnavailable as error:  # perhaps of this object only: it must not keep the others from it
                failures.append(error)
            else:
                gone.append(key)
        left = list(dict.fromkeys(keys).keys() - set(gone))
        GARBAGE.set(len(left))
        OBJECTS_DELETED.inc(len(gone))
        self._records.deleted(gone)
        self._records.spared(left, now=now)
        if gone:
            log.info("objects deleted", extra={"objects": len(gone)})
        if failures:
            raise failures[0]

    def _count_dead_letters(self) -> None:
        DEAD_LETTERS.set(math.nan)
        DEAD_LETTERS.set(self._lanes.dead_letters())

    def _spare_busy(self, pods: WorkerPods) -> None:
        """A worker's name begins with its host's, which is the pod's."""
        busy = {worker.partition(":")[0] for worker in self._records.busy_workers(now=self._clock())}
        pods.spare(busy)

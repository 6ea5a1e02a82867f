"""Micro-batching: while one message is worked on, take others of the lane, so that the engine gets them together.

Celery hands a child one message at a time. The child takes the others itself (docs/decisions/0007-micro-batching.md).
Each is worked on by a thread of its own and settled by its own ending. If the child dies, its connection closes and
the broker hands all of them out again. A message that was handed out before is worked on alone: it may be what
killed the child that had it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from shared.lane_reader import LaneUnreachable, Taken
from worker.batching import Seat, SharedEngine
from worker.ending import Verdict

log = logging.getLogger(__name__)

LOOK_SECONDS, LOOK_AGAIN_SECONDS = 0.001, 0.01  # between two looks at an empty queue: at first, and later on
MOST_BATCHES = 3  # in hand: one is spoken, one is on its way to the engine, one is encoded and stored
LONGEST_SECONDS = 30.0  # how long others are taken in the company of one message; then Celery gets its child back


class Reader(Protocol):
    """What is needed of shared.lane_reader.LaneReader."""

    def take(self) -> Taken | None: ...
    def acknowledge(self, tag: int) -> None: ...
    def dead_letter(self, tag: int) -> None: ...
    def hand_back(self, tag: int) -> None: ...
    def keep_alive(self) -> None: ...
    def close(self) -> None: ...


Work = Callable[[Taken], Verdict]  # any but RETRY, which only the work itself can see to


@dataclass(frozen=True)
class Terms:
    """How long the first look for messages lasts, and when to take no more."""

    gather_seconds: float
    draining: Callable[[], bool] = lambda: False


class Companions:
    """What a child holds for its whole life to take messages by itself."""

    def __init__(self, reader: Reader, engine: SharedEngine, terms: Terms) -> None:
        self._reader = reader
        self._engine = engine
        self._terms = terms
        self._gathering: Gathering | None = None

    @property
    def in_hand(self) -> int:
        """How many messages are worked on besides Celery's."""
        return self._gathering.in_hand if self._gathering else 0

    @contextmanager
    def beside(self, work: Work) -> Generator[None]:
        """Have others worked on while the block runs, and leave it when they have ended."""
        self._gathering = Gathering(self._reader, self._engine, self._terms, work)
        self._gathering.start()
        try:
            with self._engine.seat():
                yield
        finally:
            self._gathering.first_ended()
            self._gathering.join()
            self._gathering = None


class Gathering(threading.Thread):
    """The one thread that talks to the broker: takes messages, has them worked on, settles them as they end."""

    def __init__(self, reader: Reader, engine: SharedEngine, terms: Terms, work: Work) -> None:
        super().__init__(name="gathering", daemon=True)
        self._reader = reader
        self._engine = engine
        self._terms = terms
        self._work = work
        self._ended: queue.SimpleQueue[tuple[Taken, Verdict] | None] = queue.SimpleQueue()
        self._began = time.monotonic()
        self._first_ended = False
        self._suspect: Taken | None = None  # was handed out before: worked on when the others have ended
        self._taking = True
        self._connected = True
        self.in_hand = 0

    def first_ended(self) -> None:
        """Celery's own message has been worked on."""
        self._ended.put(None)

    def run(self) -> None:
        try:
            self._gather()
        except Exception as error:  # a thread's edge: the others in hand must still come to their end
            log.exception("no more messages are taken")
            self._reader.close()
            self._unreachable(error)
            while not self._over():
                self._settle(wait_seconds=LOOK_AGAIN_SECONDS)

    def _gather(self) -> None:
        with self._engine.seat(jobs=0) as seat:  # a batch waits for those that the first look finds
            while self._age() < self._terms.gather_seconds and self._room():
                self._settle(wait_seconds=0 if self._take() else LOOK_SECONDS)
            seat.leave()
            while not self._over():
                self._settle(wait_seconds=0 if self._room() and self._take() else LOOK_AGAIN_SECONDS)

    def _age(self) -> float:
        return time.monotonic() - self._began

    def _room(self) -> bool:
        return (
            self._taking
            and self.in_hand < MOST_BATCHES * self._engine.batch_size
            and self._age() < LONGEST_SECONDS
            and self._engine.hungry()
            and not self._terms.draining()
        )

    def _over(self) -> bool:
        if self._suspect and not self.in_hand and self._first_ended:
            suspect, self._suspect = self._suspect, None
            self._start(suspect)
        return self._first_ended and not self.in_hand

    def _take(self) -> bool:
        """Take one message; whether there was one."""
        try:
            taken = self._reader.take()
        except LaneUnreachable as error:
            self._unreachable(error)
            return False
        if taken and taken.redelivered:
            self._suspect, self._taking = taken, False
        elif taken:
            self._start(taken)
        return taken is not None

    def _start(self, taken: Taken) -> None:
        threading.Thread(target=self._perform, args=(taken, self._engine.seat()), daemon=True).start()
        self.in_hand += 1

    def _perform(self, taken: Taken, seat: Seat) -> None:
        verdict = Verdict.DEAD_LETTER
        try:
            with seat:
                verdict = self._work(taken)
        except (Exception, SystemExit):  # a thread's edge: the message is kept for a person to look at
            log.exception("unexpected failure")
        finally:
            self._ended.put((taken, verdict))

    def _settle(self, *, wait_seconds: float) -> None:
        """Wait for the next to end, and tell the broker what became of it and of those that ended meanwhile."""
        try:
            ended = self._ended.get(timeout=wait_seconds) if wait_seconds else self._ended.get_nowait()
            while True:
                if ended:
                    self._tell(*ended)
                else:
                    self._first_ended = True
                ended = self._ended.get_nowait()
        except queue.Empty:
            self._keep_alive()

    def _tell(self, taken: Taken, verdict: Verdict) -> None:
        self.in_hand -= 1
        settle = {
            Verdict.ACKNOWLEDGE: self._reader.acknowledge,
            Verdict.DEAD_LETTER: self._reader.dead_letter,
            Verdict.HAND_BACK: self._reader.hand_back,
        }
        if self._connected:  # else the broker has handed it out again, to be found done
            try:
                settle[verdict](taken.tag)
            except LaneUnreachable as error:
                self._unreachable(error)

    def _keep_alive(self) -> None:
        try:
            if self._connected and (self.in_hand or self._suspect):
                self._reader.keep_alive()
        except LaneUnreachable as error:
            self._unreachable(error)

    def _unreachable(self, error: Exception) -> None:
        log.warning("the broker is away: no more messages are taken, and those in hand will come again: %s", error)
        self._taking = self._connected = False
        self._suspect = None

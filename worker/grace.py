"""The seconds between SIGTERM and SIGKILL, and what is done in them so that nothing in hand is lost.

Most of them are for finishing. What is not finished then is handed back: its step waits again, its message goes back to
its queue, and the attempt does not count. The main process counts down; a child hands back between two utterances, or,
stuck in one, hands back beside it and ends itself. If neither helps, the main process ends, and the broker hands out
again what it had. The supervisor's SIGKILL would do that too, but the attempt would count.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import StoreUnavailable
from worker.lease import Leases
from worker.ready_marks import ReadyMarks

log = logging.getLogger(__name__)

HANDED_BACK = 75  # EX_TEMPFAIL: how a child or a main process that ran out of time ends
LONGEST_HANDING_BACK_SECONDS = 10.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Grace:
    """How the grace period is divided. All in seconds."""

    seconds: float

    @property
    def handing_back(self) -> float:
        """How long before its end the handing back begins."""
        return min(LONGEST_HANDING_BACK_SECONDS, self.seconds / 2)

    @property
    def patience(self) -> float:
        """How long from there a child may take to come to the end of an utterance."""
        return 0.4 * self.handing_back

    @property
    def last(self) -> float:
        """How long before the supervisor's SIGKILL the main process ends itself."""
        return 0.1 * self.handing_back


class Countdown:
    """The main process's clock. It runs in a thread: the event loop may be busy, or waiting for a child."""

    def __init__(self, ready: ReadyMarks, grace: Grace, *, end: Callable[[int], object] = os._exit) -> None:
        self._ready = ready
        self._grace = grace
        self._end = end
        self._begun = False

    def begin(self) -> None:
        """Begin with SIGTERM. Another one changes nothing: the supervisor does not wait longer for it."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._run, name="countdown", daemon=True).start()

    def _run(self) -> None:
        time.sleep(self._grace.seconds - self._grace.handing_back)
        log.warning("the grace period is nearly over: what is not finished is handed back")
        self._ready.hand_back()
        time.sleep(self._grace.handing_back - self._grace.last)
        log.critical("the grace period is over: the worker ends, and the broker hands out again what it had")
        self._end(HANDED_BACK)


class StuckWork(threading.Thread):
    """A child's clock: hands back what is still in hand when the patience is over, and ends the child."""

    def __init__(self, leases: Leases, grace: Grace, *, end: Callable[[int], object] = os._exit) -> None:
        super().__init__(name="stuck work", daemon=True)
        self._leases = leases
        self._grace = grace
        self._end = end

    def run(self) -> None:
        while not self._leases.must_stop():
            time.sleep(LOOK_SECONDS)
        time.sleep(self._grace.patience)
        while not self._leases.open:
            time.sleep(LOOK_SECONDS)
        try:
            self._leases.put_back()
            log.critical("the child ends itself: its work could not be finished in time and is handed back")
        except StoreUnavailable:
            log.critical("the child ends itself: its work could not be finished, nor be handed back in the records")
        self._end(HANDED_BACK)

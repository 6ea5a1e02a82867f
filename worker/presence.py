"""Tells, from a child, that its worker takes messages, and whether it has one in hand.

The gateway counts who is warm; the sweeper tells Kubernetes which worker to spare. What is told runs out by itself.
"""

import logging
import os
import socket
import threading
import time

from shared.errors import StoreUnavailable
from shared.jobs import Lane
from shared.ports import JobStore
from worker.lease import Leases
from worker.ready_marks import ReadyMarks

log = logging.getLogger(__name__)

TELL_SECONDS = 3.0
BELIEVED_SECONDS = 10.0  # three times what is told goes missing before the worker is taken for gone
LOOK_SECONDS = 0.2


class Presence(threading.Thread):
    """A child's thread. The worker's name begins with its host's, which in Kubernetes is the pod's."""

    def __init__(self, jobs: JobStore, lane: Lane, ready: ReadyMarks, leases: Leases) -> None:
        super().__init__(name="presence", daemon=True)
        self._jobs = jobs
        self._lane = lane
        self._ready = ready
        self._leases = leases
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._told: tuple[bool, bool] = (False, False)  # takes messages, has one in hand
        self._told_at = 0.0

    def run(self) -> None:
        while True:
            try:
                self.look()
            except StoreUnavailable:
                log.warning("the job store does not hear whether this worker takes messages")
            except Exception:  # a thread's edge: whatever it is, the next look may go well
                log.exception("unexpected failure")
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Tell at once whether messages are taken, and every few seconds that nothing has changed, or what is in hand.

        Not each message is worth a call.
        """
        warm, busy = self._ready.consuming(), self._leases.open
        due = time.monotonic() - self._told_at >= TELL_SECONDS and (warm or busy or any(self._told))
        if warm != self._told[0] or due:
            self._jobs.present(self._worker, self._lane, warm=warm, busy=busy, seconds=BELIEVED_SECONDS)
            self._told, self._told_at = (warm, busy), time.monotonic()

"""A worker's hold on a step: renewed in the background, lost when the job ends or another worker takes over."""

import logging
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType

from shared import jobs as lifecycle
from shared.errors import StoreUnavailable
from shared.jobs import Change, Job, Outcome, Step
from shared.ports import JobStore

log = logging.getLogger(__name__)


class StepLost(Exception):
    """The step is no longer ours: the job was cancelled, has ended, or another worker has the step."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class MustStop(Exception):
    """The worker is about to be killed: the step is to be handed back."""


class Leases:
    """What a child has in hand. All of it is handed back together when the worker must stop."""

    def __init__(self, must_stop: Callable[[], bool] = lambda: False) -> None:
        self.must_stop = must_stop
        self._open: set[Lease] = set()
        self._changing = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether any work is in hand."""
        return bool(self._open)

    def add(self, lease: "Lease") -> None:
        with self._changing:
            self._open.add(lease)

    def discard(self, lease: "Lease") -> None:
        with self._changing:
            self._open.discard(lease)

    def put_back(self) -> None:
        """Let every step wait again, for another worker.

        Raises:
            StoreUnavailable: Redis is away.
        """
        with self._changing:
            for lease in self._open:
                lease.put_back()


class Lease:
    """Renews while the context is open. `check` between utterances tells whether to go on."""

    def __init__(self, jobs: JobStore, job: Job, step: Step, *, seconds: float, among: Leases | None = None) -> None:
        self.token = step.token
        self.started = (job, step)  # as they were when the step was taken
        self._jobs = jobs
        self._job_id = job.id
        self._step = step.name
        self._seconds = seconds
        self._among = among or Leases()
        self._kept: list[Callable[[], None]] = []
        self._renewed_at = -math.inf  # monotonic seconds
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew_until_ended, daemon=True)

    def __enter__(self) -> "Lease":
        self._among.add(self)
        self._renewer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._among.discard(self)

    def check(self, *, every: float = 0.0) -> None:
        """Renew the lease, unless that was less than `every` seconds ago.

        Raises:
            StepLost: stop working, nobody wants the result.
            MustStop: stop working, another worker will do it.
        """
        if self._among.must_stop():
            raise MustStop
        if time.monotonic() >= self._renewed_at + every:
            self._renew()

    def keep(self, renew: Callable[[], None]) -> None:
        """Have something else that is ours renewed with the lease, in its thread, every quarter of its seconds.

        Args:
            renew: it may raise StoreUnavailable, and is called again at the next renewal then.
        """
        self._kept.append(renew)

    def put_back(self) -> Outcome:
        """Give the step back unharmed; any outcome but `APPLIED` says that it was no longer ours."""
        change = self._jobs.change(
            self._job_id, self._step, lambda job, step: lifecycle.put_back(job, step, token=self.token)
        )
        return change.outcome if change else Outcome.MISSING

    def _renew(self) -> None:
        change = self._jobs.change(self._job_id, self._step, self._renewed)
        outcome = change.outcome if change else Outcome.MISSING
        if outcome is not Outcome.APPLIED:
            raise StepLost(outcome)
        self._renewed_at = time.monotonic()

    def _renewed(self, job: Job, step: Step) -> Change:
        return lifecycle.renew(job, step, token=self.token, now=time.time(), lease_seconds=self._seconds)

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                self._renew()
                for renew in self._kept:
                    renew()
            except StepLost:
                return  # the worker meets the same at its next check, or when it finishes
            except StoreUnavailable:  # the work goes on, and the lease with it once Redis is back
                log.warning("the lease could not be renewed: the job store does not answer")

"""A worker's hold on a step: renewed in the background, lost when the job ends or another worker takes over."""

import threading
import time
from types import TracebackType

from shared import jobs as lifecycle
from shared.errors import StoreUnavailable
from shared.jobs import Change, Job, Outcome, Step
from shared.ports import JobStore


class StepLost(Exception):
    """The step is no longer ours: the job was cancelled, has ended, or another worker has the step."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Lease:
    """Renews while the context is open. `check` between utterances tells whether to go on."""

    def __init__(self, jobs: JobStore, job: Job, step: Step, *, seconds: float) -> None:
        self.token = step.token
        self.started = (job, step)  # as they were when the step was taken
        self._jobs = jobs
        self._job_id = job.id
        self._step = step.name
        self._seconds = seconds
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew_until_ended, daemon=True)

    def __enter__(self) -> "Lease":
        self._renewer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()

    def check(self) -> None:
        """Renew the lease.

        Raises:
            StepLost: stop working, nobody wants the result.
        """
        change = self._jobs.change(self._job_id, self._step, self._renewed)
        outcome = change.outcome if change else Outcome.MISSING
        if outcome is not Outcome.APPLIED:
            raise StepLost(outcome)

    def _renewed(self, job: Job, step: Step) -> Change:
        return lifecycle.renew(job, step, token=self.token, now=time.time(), lease_seconds=self._seconds)

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                self.check()
            except (StepLost, StoreUnavailable):
                return  # the worker meets the same at its next check, or when it finishes

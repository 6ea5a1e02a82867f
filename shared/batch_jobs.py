"""The jobs of a batch, many at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from shared import records
from shared.async_job_store import recorded
from shared.batch_store import Decide
from shared.batches import Batch
from shared.changes import creation_argument, reopening_argument
from shared.children import RedisChildJobs
from shared.errors import QuotaExceeded
from shared.jobs import Job, JobState, SpeechRequest, Step, reopened
from shared.limits import Limits
from shared.ports import Catalogue, StepRef
from shared.redis_clients import translated


class BatchRecords(Protocol):
    """What is needed of shared.batch_store.RedisBatches, which says what each does."""

    def get(self, batch_id: str) -> Batch | None: ...
    def change(self, batch_id: str, decide: Decide) -> Batch | None: ...
    def catalogue(self) -> Catalogue | None: ...


class BatchJobs(Protocol):
    """What is needed of RedisBatchJobs."""

    def create_all(
        self, jobs: Sequence[tuple[Job, SpeechRequest]], *, limits: Limits
    ) -> list[bool | QuotaExceeded]: ...
    def again(self, job_id: str, *, limits: Limits) -> bool | QuotaExceeded: ...
    def cancel(self, job_id: str) -> None: ...
    def jobs(self, ids: Sequence[str]) -> list[Job | None]: ...
    def page(self, parent: str, *, after: str, limit: int) -> list[str]: ...


@dataclass(frozen=True)
class Batches:
    """Batches and their jobs, as workers have them."""

    records: BatchRecords
    jobs: BatchJobs


AGAIN = (JobState.FAILED, JobState.CANCELLED)


class RedisBatchJobs(RedisChildJobs):
    """As its parent class, for thousands of them."""

    def create_all(self, jobs: Sequence[tuple[Job, SpeechRequest]], *, limits: Limits) -> list[bool | QuotaExceeded]:
        """Record these, and enqueue those whose turn it is; of each whether it was new, or why it is not recorded."""
        with translated(), self._redis.pipeline(transaction=False) as pipeline:
            for job, request in jobs:
                argument = creation_argument(job, request, key="", fingerprint="", limits=limits, windows=self._windows)
                self._commit(args=[argument], client=pipeline)
            replies: list[list[Any]] = pipeline.execute() if jobs else []
        ready: list[StepRef] = []
        made = [self._made(job, limits, reply, ready) for (job, _), reply in zip(jobs, replies, strict=True)]
        self._send_ready(ready)
        return made

    def _made(self, job: Job, limits: Limits, reply: list[Any], ready: list[StepRef]) -> bool | QuotaExceeded:
        if reply[0] == 0:
            return False
        try:
            ready += recorded(job, limits, reply[0], reply[1:]).ready
        except QuotaExceeded as error:
            return error
        return True

    def again(self, job_id: str, *, limits: Limits) -> bool | QuotaExceeded:
        """Have a child that failed or was cancelled tried again, when it is its turn; whether it is, or why not.

        It counts for today: what it did not use was given back to the day on which it was made.
        """
        now = time.time()
        with translated():
            while raw := self._redis.get(records.job_key(job_id)):
                job = records.load_job(raw)
                if job.state not in AGAIN:
                    return False
                stored: dict[str, str] = self._redis.hgetall(records.steps_key(job_id))
                found = {name: records.load_step(name, step) for name, step in stored.items()}
                open_job, names = reopened(job, found.values())
                open_job = replace(open_job, created_at=now)
                left = [Step(name, counted=name in found and found[name].counted) for name in names]
                argument = reopening_argument(raw, job, open_job, left, now=now, windows=self._windows, limits=limits)
                reply, *more = self._commit(args=[argument])
                if reply:
                    ready: list[StepRef] = []
                    made = self._made(open_job, limits, [reply, *more], ready)
                    self._send_ready(ready)
                    return made
        return False

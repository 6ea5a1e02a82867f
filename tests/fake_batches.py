"""Batches in memory: the gateway's side, and a worker's with the jobs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.batch_store import Decide
from shared.batches import Batch, BatchView, Wanted, without_pass
from shared.errors import BatchConflict, QuotaExceeded
from shared.jobs import Job, JobState, SpeechRequest
from shared.limits import Limits
from shared.ports import Catalogue
from shared.quotas import is_line
from tests.fakes import CATALOGUE, InMemoryJobStore


class InMemoryAsyncBatches:
    """`garbage` has the keys of objects that were let go, `uploads` of those that were begun and have no record."""

    def __init__(self, records: InMemoryJobStore) -> None:
        self.records = records
        self.batches: dict[str, Batch] = {}
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}
        self.garbage: list[str] = []
        self.uploads: set[str] = set()
        self.beginning: set[str] = set()

    async def uploading(self, key: str) -> None:
        self.uploads.add(key)

    async def create(self, batch: Batch, *, key: str, fingerprint: str) -> Batch:
        if owner := await self.sent_before(batch.tenant, key=key, fingerprint=fingerprint):
            return owner
        if key:
            self.keys[batch.tenant, key] = (batch.id, fingerprint)
        self.uploads.discard(batch.source_key)
        self.beginning.add(batch.id)
        self.batches[batch.id] = batch
        return batch

    async def sent_before(self, tenant: str, *, key: str, fingerprint: str) -> Batch | None:
        owner, owners_fingerprint = self.keys.get((tenant, key), ("", fingerprint))
        if owners_fingerprint != fingerprint:
            raise BatchConflict(owner)
        return self.batches.get(owner)

    async def open_lines(self, tenant: str) -> int:
        return sum(one.tenant == tenant and is_line(one) and not one.finished for one in self.records.jobs.values())

    async def begun(self, batch_id: str) -> None:
        self.beginning.discard(batch_id)

    async def view(self, batch_id: str) -> BatchView | None:
        batch = self.batches.get(batch_id)
        if batch is None or batch.wanted is Wanted.DELETE:
            return None
        theirs = [job for job in self.records.jobs.values() if job.parent == batch_id]
        ingest = self.records.jobs.get(batch.ingest_job)
        counts = {str(state): sum(job.state is state for job in theirs) for state in JobState}
        return BatchView(batch, without_pass(counts, ingest), ingest, beginning=batch_id in self.beginning)

    async def change(self, batch_id: str, decide: Decide, *, garbage: Callable[[Batch], Sequence[str]]) -> Batch | None:
        batch = self.batches.get(batch_id)
        changed = decide(batch) if batch else None
        if batch is None or changed is None or changed == batch:
            return batch
        self.garbage += garbage(batch)
        self.batches[batch_id] = changed
        self.beginning.add(batch_id)
        return changed

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[BatchView]:
        theirs = sorted((one.id for one in self.batches.values() if one.tenant == tenant), reverse=True)
        views = [await self.view(one) for one in theirs if before is None or one < before]
        return [view for view in views if view][:limit]


class InMemoryBatches:
    """A worker's side, over the same batches."""

    def __init__(self, batches: dict[str, Batch]) -> None:
        self.batches = batches
        self.catalogue_known = True

    def get(self, batch_id: str) -> Batch | None:
        return self.batches.get(batch_id)

    def change(self, batch_id: str, decide: Decide) -> Batch | None:
        batch = self.batches.get(batch_id)
        if batch is None:
            return None
        self.batches[batch_id] = decide(batch) or batch
        return self.batches[batch_id]

    def catalogue(self) -> Catalogue | None:
        return CATALOGUE if self.catalogue_known else None


class InMemoryBatchJobs:
    """The jobs of batches. `refused` are ids that are more than their tenant may have."""

    def __init__(self, records: InMemoryJobStore) -> None:
        self.records = records
        self.refused: dict[str, QuotaExceeded] = {}

    def create_all(self, jobs: Sequence[tuple[Job, SpeechRequest]], *, limits: Limits) -> list[bool | QuotaExceeded]:
        outcomes: list[bool | QuotaExceeded] = []
        for job, request in jobs:
            outcomes.append(job.id not in self.records.jobs and (self.refused.get(job.id) or True))
            if outcomes[-1] is True:
                self.records.add(job, request)
        return outcomes

    def again(self, job_id: str, *, limits: Limits) -> bool | QuotaExceeded:
        job = self.records.jobs[job_id]
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            return False
        if job_id in self.refused:
            return self.refused[job_id]
        open_job = replace(job, state=JobState.QUEUED, failure=None, finished_at=None)
        self.records.add(open_job, self.records.requests[job_id])
        return True

    def cancel(self, job_id: str) -> None:
        job = self.records.jobs.get(job_id)
        if job and not job.finished:
            self.records.jobs[job_id] = job.cancelled(now=1.0)

    def jobs(self, ids: Sequence[str]) -> list[Job | None]:
        return [self.records.jobs.get(one) for one in ids]

    def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        return sorted(one.id for one in self.records.jobs.values() if one.parent == parent and one.id > after)[:limit]

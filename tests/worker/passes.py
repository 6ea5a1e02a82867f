"""A pass over a batch as an assembly worker does it, on in-memory ports."""

import time
from dataclasses import replace

from shared import jobs as lifecycle
from shared.batch_jobs import Batches
from shared.jobs import Change, Job, Step
from tests.engines import ObedientEngine
from tests.fake_batches import InMemoryBatches, InMemoryBatchJobs
from tests.fakes import InMemoryJobStore, InMemoryObjectStore, InMemoryQueue
from worker.ingesting import ingest
from worker.lease import Lease
from worker.runtime import Runtime
from worker.settings import WorkerSettings


def work_on_pass(
    job: Job,
    records: InMemoryJobStore,
    batches: InMemoryBatches,
    jobs: InMemoryBatchJobs,
    objects: InMemoryObjectStore,
) -> None:
    """Do the job of a pass, from its start to its end."""

    def started(now: Job, step: Step) -> Change:
        return lifecycle.start(now, step, token="ours", now=time.time(), lease_seconds=60, redelivered=True)

    change = records.change(job.id, "0", started)
    assert change
    runtime = Runtime(WorkerSettings(), records, objects, InMemoryQueue(), ObedientEngine())
    runtime = replace(runtime, engine=None, batches=Batches(batches, jobs))
    with Lease(records, change.job, change.step, seconds=60) as lease:
        ingest(change.job, lease, runtime)

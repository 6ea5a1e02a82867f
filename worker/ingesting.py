"""Make a job of each line of a batch, or cancel its jobs: what the job of a batch's pass does.

What is done is noted every some hundred lines, and a job's id follows from its line. So a pass that is broken off
goes on where it was, and what it does twice it makes once.
"""

import io
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice

from shared import jobs as lifecycle
from shared.accepted import REFUSED, SUBMITTED
from shared.batch_jobs import Batches
from shared.batch_lines import LONGEST_LINE_BYTES, LineError, LineReader
from shared.batches import PORTION_LINES, Batch, Wanted
from shared.checking import Library, offer_of
from shared.errors import LineTooLong, NoCatalogue, QuotaExceeded
from shared.jobs import Job, Outcome, SpeechRequest
from shared.ports import ObjectStore
from shared.voice_store import library_of
from worker.attempt import NotYet
from worker.batch_file import FileLine, lines_of
from worker.lease import Lease, StepLost
from worker.runtime import Runtime

log = logging.getLogger(__name__)

TURN_SECONDS = 10.0  # then other work of the lane has its turn
PAUSE_SECONDS = 0.1
PORTION_BYTES = 4 * 1024 * 1024  # of lines that are held at once
IDS_AT_ONCE = 500


class NotDoneYet(NotYet):
    """Raised in the work when its turn is over: there is more to do."""

    outcome = "not_done_yet"


@dataclass(frozen=True)
class _Made:
    """What a line became."""

    line: int
    job: Job
    request: SpeechRequest


def ingest(job: Job, lease: Lease, runtime: Runtime) -> None:
    """Do the pass of a batch that the job is for.

    Raises:
        StepLost: the pass is no longer wanted, or another worker has the step.
        NotDoneYet: there is more to do, after others.
    """
    if runtime.batches is None:
        raise RuntimeError("only assembly workers read batches")
    batch = runtime.batches.records.get(job.parent)
    if batch is None or not _wants(batch, job):
        runtime.batches.jobs.cancel(job.id)  # or the sweeper would send it for ever
        raise StepLost(Outcome.MISSING)
    library = library_of(batch.tenant, runtime.voices)
    this_pass = _Pass(job, batch, runtime.batches, runtime.objects, lease, library)
    if batch.wanted is Wanted.SPEAK:
        this_pass.read_on()
    else:
        this_pass.cancel_all()
    change = runtime.jobs.change(
        job.id, "0", lambda now, step: lifecycle.finish_work(now, step, token=lease.token, now=time.time())
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)


def _wants(batch: Batch, job: Job) -> bool:
    return batch.ingest_job == job.id and batch.wanted is not Wanted.DELETE


@dataclass(frozen=True)
class _Pass:
    """A pass over a batch's lines, or over its jobs."""

    job: Job
    batch: Batch
    batches: Batches
    objects: ObjectStore
    lease: Lease
    library: Library

    def read_on(self) -> None:
        """Make jobs of the lines from where it was left."""
        batch = self.batch
        if batch.bytes_read >= batch.source_bytes:  # an earlier turn did not come to its end
            return
        catalogue = self.batches.records.catalogue()
        if catalogue is None:
            raise NoCatalogue
        reader = LineReader(batch, replace(offer_of(catalogue), library=self.library))
        turn_ends = time.monotonic() + TURN_SECONDS
        chunks = self.objects.read(batch.source_key, offset=batch.bytes_read)
        lines = lines_of(chunks, number=batch.lines_read + 1, offset=batch.bytes_read)
        while portion := _portion(lines):
            self.lease.check()
            made, errors = _read(portion, batch, reader)
            self._done(portion, made, errors + self._record(made))
            if time.monotonic() > turn_ends and portion[-1].ends_at < batch.source_bytes:
                raise NotDoneYet(PAUSE_SECONDS)

    def cancel_all(self) -> None:
        """Cancel every job of the batch."""
        turn_ends, after = time.monotonic() + TURN_SECONDS, ""
        while ids := self.batches.jobs.page(self.batch.id, after=after, limit=IDS_AT_ONCE):
            self.lease.check()
            for one in self.batches.jobs.jobs(ids):
                if one and not one.finished and one.id != self.job.id:
                    self.batches.jobs.cancel(one.id)
            after = ids[-1]
            if time.monotonic() > turn_ends:
                raise NotDoneYet(PAUSE_SECONDS)

    def _record(self, made: Sequence[_Made]) -> list[LineError]:
        """Record the jobs; return an error for each that is more than its tenant may have."""
        jobs, limits, errors = self.batches.jobs, self.batch.terms.limits, list[LineError]()
        outcomes = jobs.create_all([(one.job, one.request) for one in made], limits=limits)
        for one, is_new in zip(made, outcomes, strict=True):
            outcome = is_new
            if not outcome and self.batch.passes > 1:
                outcome = jobs.again(one.job.id, limits=limits)
            if isinstance(outcome, QuotaExceeded):
                REFUSED.labels(one.job.tenant, outcome.quota).inc()
                errors.append(LineError(one.line, one.job.custom_id, outcome.code, str(outcome)))
            elif is_new:
                SUBMITTED.labels(one.job.lane, one.job.tenant).inc()
        return errors

    def _done(self, portion: Sequence[FileLine], made: Sequence[_Made], errors: list[LineError]) -> None:
        """Keep what is wrong with the lines, and note how far the pass is."""
        key, last = self.batch.errors_key(portion[0].number), portion[-1]
        if errors:
            told = "".join(f"{json.dumps(asdict(error), ensure_ascii=False)}\n" for error in _in_order(errors))
            data = told.encode(errors="replace")  # what a line says may be no text, as half of a pair of surrogates
            self.objects.put(key, io.BytesIO(data), length=len(data), content_type="application/jsonl")

        def done(now: Batch) -> Batch | None:
            if not _wants(now, self.job) or now.lines_read >= last.number:
                return None
            return now.read(last.number, last.ends_at, errors=len(errors), part=key)

        noted = self.batches.records.change(self.batch.id, done)
        if noted is None or not _wants(noted, self.job):  # cancelled meanwhile: what was just made is not wanted
            for one in made:
                self.batches.jobs.cancel(one.job.id)
            raise StepLost(Outcome.JOB_FINISHED)


def _in_order(errors: list[LineError]) -> list[LineError]:
    return sorted(errors, key=lambda error: error.line)


def _portion(lines: Iterator[FileLine]) -> list[FileLine]:
    portion: list[FileLine] = []
    size = 0
    for line in islice(lines, PORTION_LINES):
        portion.append(line)
        size += len(line.raw or b"")
        if size > PORTION_BYTES:
            break
    return portion


def _read(portion: Sequence[FileLine], batch: Batch, reader: LineReader) -> tuple[list[_Made], list[LineError]]:
    made: list[_Made] = []
    errors: list[LineError] = []
    now = time.time()
    for line in portion:
        if line.raw is None:
            too_long = LineTooLong(limit=LONGEST_LINE_BYTES)
            errors.append(LineError(line.number, "", too_long.code, str(too_long)))
        elif line.raw.strip() and line.number >= batch.first_line:
            found = reader.job(line.number, line.raw, now=now)
            if isinstance(found, LineError):
                errors.append(found)
            else:
                made.append(_Made(line.number, *found))
    return made, errors

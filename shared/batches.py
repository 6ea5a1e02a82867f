"""A batch: a file of which each line becomes a job, and how far it is. Pure.

A batch has no state of its own that a job's end would have to change: it follows from the counts of its jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from shared.children import child_id
from shared.jobs import KEEP_SECONDS, Failure, Job, JobKind, JobState, Lane, SpeechRequest
from shared.limits import NO_LIMITS, Limits

PORTION_LINES = 200  # made at once; the errors of as many are one object
NO_SPEECH = SpeechRequest("", "", "", 1.0, 1.0, "", 0, 0)  # the request of a job that speaks nothing


class BatchState(StrEnum):
    """Where a batch is. All but the first two are final, until it is retried."""

    INGESTING = "ingesting"  # its lines become jobs
    RUNNING = "running"  # its jobs are done
    SUCCEEDED = "succeeded"  # every line was spoken
    PARTLY_FAILED = "partly_failed"  # some were
    FAILED = "failed"  # none was, or its file could not be read
    CANCELLED = "cancelled"


OVER = frozenset(BatchState) - {BatchState.INGESTING, BatchState.RUNNING}


class Wanted(StrEnum):
    """What the owner wants of a batch."""

    SPEAK = "speak"
    CANCEL = "cancel"
    DELETE = "delete"


@dataclass(frozen=True)
class Terms:
    """What its gateway allowed when the batch was sent, or retried."""

    longest_text: int
    default_voice: str = ""  # "": the engine's first
    limits: Limits = NO_LIMITS


@dataclass(frozen=True)
class Batch:
    """A batch as it is recorded."""

    id: str
    tenant: str
    created_at: float
    source_bytes: int
    source_sha256: str
    lines: int  # of the file, with those that are blank
    terms: Terms
    first_line: int = 1  # 2: the first has the options
    name: str = ""
    defaults: dict[str, Any] = field(default_factory=dict[str, Any])  # of shared.batch_lines.BatchLine
    template: str = ""
    keep_seconds: float = KEEP_SECONDS
    trace: str = ""  # W3C traceparent of the request that sent it
    wanted: Wanted = Wanted.SPEAK
    passes: int = 1  # over its lines, or over its jobs to cancel them
    lines_read: int = 0  # in this pass, as the next two
    bytes_read: int = 0
    lines_wrong: int = 0
    error_parts: tuple[str, ...] = ()  # objects, each with the errors of some lines

    @property
    def source_key(self) -> str:
        return f"batches/{self.id}/source.jsonl"

    @property
    def ingest_job(self) -> str:
        """The id of the job that does this pass."""
        return self.job_of_pass(self.passes)

    def job_of_pass(self, number: int) -> str:
        return child_id(self.id, f"pass {number}")

    @property
    def keys(self) -> list[str]:
        """The objects that are its own."""
        return [self.source_key, *self.error_parts]

    def line_job(self, line: int) -> str:
        """The id of the job that a line becomes; the first line is 1."""
        return child_id(self.id, str(line))

    def errors_key(self, line: int) -> str:
        """The object with the errors of a portion that begins at this line."""
        return f"batches/{self.id}/errors-{self.passes}-{line:06}.jsonl"

    def portion_of(self, key: str) -> int:
        """The line at which the portion of this object begins."""
        return int(key.rpartition("-")[2].removesuffix(".jsonl"))

    def read(self, lines: int, bytes: int, *, errors: int, part: str) -> "Batch":
        """The batch with its first lines read, of which some more are wrong, as the object `part` says."""
        return replace(
            self,
            lines_read=lines,
            bytes_read=bytes,
            lines_wrong=self.lines_wrong + errors,
            error_parts=(*self.error_parts, part) if errors else self.error_parts,
        )

    def again(self, wanted: Wanted, terms: Terms | None = None) -> "Batch":
        """The batch with another pass before it."""
        after = replace(self, wanted=wanted, terms=terms or self.terms, passes=self.passes + 1)
        if wanted is not Wanted.SPEAK:
            return after
        return replace(after, lines_read=0, bytes_read=0, lines_wrong=0, error_parts=())

    def pass_job(self, *, now: float) -> Job:
        """Return the job that does the pass that is before it."""
        return Job(
            id=self.ingest_job,
            lane=Lane.BULK,
            characters=0,
            created_at=now,
            kind=JobKind.INGEST,
            parent=self.id,
            tenant=self.tenant,
            keep_seconds=self.keep_seconds,
            trace=self.trace,
        )


@dataclass(frozen=True)
class BatchView:
    """A batch as its owner sees it: the record, its jobs by state, and what does its pass."""

    batch: Batch
    counts: Mapping[JobState, int]  # without the job of the pass
    ingest: Job | None
    beginning: bool = False  # its pass has no job yet

    @property
    def open(self) -> int:
        return self.counts[JobState.QUEUED] + self.counts[JobState.RUNNING]

    @property
    def failure(self) -> Failure | None:
        """Why its lines could not all be read."""
        return self.ingest.failure if self.ingest else None

    @property
    def state(self) -> BatchState:
        if self.batch.wanted is not Wanted.SPEAK:
            return BatchState.CANCELLED
        if not self.ingest.finished if self.ingest else self.beginning:
            return BatchState.INGESTING
        if self.batch.bytes_read < self.batch.source_bytes:  # its pass ended before the file did
            return BatchState.FAILED
        if self.open:
            return BatchState.RUNNING
        spoken = self.counts[JobState.SUCCEEDED] + self.counts[JobState.EXPIRED]
        unspoken = self.batch.lines_wrong + self.counts[JobState.FAILED] + self.counts[JobState.CANCELLED]
        if not unspoken:
            return BatchState.SUCCEEDED
        return BatchState.PARTLY_FAILED if spoken else BatchState.FAILED


def without_pass(counts: Mapping[str, int], ingest: Job | None) -> dict[JobState, int]:
    """Return the counts of the children that speak."""
    found = {state: int(counts.get(state, 0)) for state in JobState}
    if ingest:
        found[ingest.state] = max(found[ingest.state] - 1, 0)
    return found

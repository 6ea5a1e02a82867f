"""What came of a soak: every job counted once, and whatever was not as promised."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from cli.stack.errors import StackError
from shared.errors import QueueUnavailable
from shared.jobs import Job, JobState
from tests.faults.clients import REMOVED, Sent
from tests.faults.faults import Fault, Victim
from tests.faults.orders import Order, Strike

MOST_SHOWN = 20


@dataclass(frozen=True)
class Fulfilled:
    """An order that was accepted."""

    order: Order
    sent: Sent
    repeated: Sent | None = None  # what the same idempotency key gave
    cancelled: str = ""  # the state that the client was told when it cancelled


@dataclass
class Tally:
    """Counts, and every violation as a sentence."""

    faults: Counter[tuple[Victim, Fault]] = field(default_factory=Counter[tuple[Victim, Fault]])
    ends: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])
    submitted: int = 0
    refused: int = 0  # records of what a client was told to send again
    not_accepted: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong_audio: int = 0
    longest_stall_seconds: float = 0.0
    slowest_job_seconds: float = 0.0
    settled_seconds: float = 0.0  # from the last job's submission until all had ended
    violations: list[str] = field(default_factory=list[str])

    @contextmanager
    def holding(self, what: str) -> Generator[None]:
        """Note what does not hold in the block, and go on."""
        try:
            yield
        except (AssertionError, StackError) as error:
            self.violations.append(f"{what}: {error}")

    def strike(self, strike: Strike) -> None:
        self.faults[strike.victim, strike.fault] += 1

    def count(self, accepted: Iterable[Fulfilled], records: Mapping[str, Job], right: Callable[[Sent], None]) -> None:
        """Count every accepted job and every record.

        Args:
            right: raises AssertionError where a job's audio is not what it should be.
        """
        known: set[str] = set()
        for one in accepted:
            self.submitted += 1
            known.add(one.sent.job_id)
            if one.repeated and one.repeated.job_id != one.sent.job_id:
                self.duplicated += 1
                self._violated(one, f"its idempotency key gave another job, {one.repeated.job_id}")
            self._count(one, records.get(one.sent.job_id), right)
        for job in records.values():
            if job.id not in known:
                self._count_unknown(job)
        self.longest_stall_seconds = longest_stall(records.values())
        self.slowest_job_seconds = max(((job.finished_at or 0) - job.created_at for job in records.values()), default=0)

    def _count(self, one: Fulfilled, job: Job | None, right: Callable[[Sent], None]) -> None:
        told = one.cancelled
        if job is None and told == REMOVED:
            self.ends[REMOVED] += 1
        elif job is None or not job.finished:
            self.lost += 1
            self._violated(one, f"it is {job.state if job else 'gone'}")
        elif told and told not in (job.state, REMOVED):
            self.duplicated += 1
            self._violated(one, f"its client was told that it is {told}, and it is {job.state}")
        elif job.state is JobState.SUCCEEDED:
            self._count_success(one, right)
        elif job.state is JobState.CANCELLED and told:
            self.ends[job.state] += 1
        else:
            self.ends[job.state] += 1
            self.failures[job.failure.code if job.failure else job.state] += 1
            self._violated(one, f"it has not succeeded: {job.state}, {job.failure}, attempts: {job.attempts}")

    def _count_success(self, one: Fulfilled, right: Callable[[Sent], None]) -> None:
        self.ends[JobState.SUCCEEDED] += 1
        try:
            right(one.sent)
        except AssertionError as error:
            self.wrong_audio += 1
            self._violated(one, str(error))

    def _count_unknown(self, job: Job) -> None:
        """Every client sent its job until it knew the id, with a key: there is no other but what was refused."""
        if job.failure and job.failure.code == QueueUnavailable.code:
            self.refused += 1
        else:
            self.duplicated += 1
            self.violations.append(f"{job.id}: nobody knows of this job, and it is {job.state}")

    def _violated(self, one: Fulfilled, what: str) -> None:
        self.violations.append(f"order {one.order.number} ({one.order.kind}), job {one.sent.job_id}: {what}")

    def table(self) -> str:
        """Return the closing tables in Markdown, and the violations below them."""
        reasons = ", ".join(f"{code}: {count}" for code, count in self.failures.most_common())
        rows = {
            "submitted": self.submitted,
            "succeeded": self.ends[JobState.SUCCEEDED],
            "failed, with reason": f"{self.failures.total()}{f' ({reasons})' if reasons else ''}",
            "cancelled": self.ends[JobState.CANCELLED],
            "removed: finished just before it was to be cancelled": self.ends[REMOVED],
            "not accepted within its time": self.not_accepted,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "wrong audio": self.wrong_audio,
            "refused with 503, and accepted when sent again": self.refused,
            "longest stall": f"{self.longest_stall_seconds:.1f} s",
            "slowest job": f"{self.slowest_job_seconds:.1f} s",
            "all final after the last submission": f"{self.settled_seconds:.1f} s",
            "faults": self.faults.total(),
            "violations": len(self.violations),
        }
        lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
        return "\n".join([*lines, "", *self._faults_by_kind(), "", *self.violations[:MOST_SHOWN]]).rstrip()

    def _faults_by_kind(self) -> list[str]:
        lines = [f"| faults | {' | '.join(Fault)} |", "|---" * (len(Fault) + 1) + "|"]
        for victim in Victim:
            counts = " | ".join(str(self.faults[victim, fault]) for fault in Fault)
            lines.append(f"| {victim} | {counts} |")
        return lines


def longest_stall(jobs: Iterable[Job]) -> float:
    """Return the longest time in seconds in which jobs that were to succeed were open, and none of them did."""
    moments: list[tuple[float, int]] = []
    for job in jobs:
        if job.state is JobState.SUCCEEDED and job.finished_at:
            moments += [(job.created_at, 1), (job.finished_at, -1)]
    longest, opened, since = 0.0, 0, 0.0
    for moment, change in sorted(moments):
        if change < 0:
            longest = max(longest, moment - since)
        if change < 0 or not opened:
            since = moment
        opened += change
    return longest

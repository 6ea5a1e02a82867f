"""What a simulation comes to, in figures: for people, for programs, and beside a fleet that never changes."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from planner import fixed
from planner.simulation import Outcome
from planner.trace import Trace

WINDOWS = 12  # into which the trace is cut


@dataclass(frozen=True)
class Waits:
    """How long jobs waited to be begun, in seconds. Infinite: some never were."""

    jobs: int
    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True)
class Window:
    """A part of the trace: its jobs, and the workers at its end."""

    begins: float
    jobs: int
    p50: float
    p99: float
    replicas: int
    warm: int
    waiting: int


@dataclass(frozen=True)
class FixedFleet:
    """The fewest workers that are always warm and with which the same jobs have no longer a p99."""

    workers: int
    p99: float
    gpu_hours: float


@dataclass(frozen=True)
class Report:
    """All that is known of a simulation."""

    duration: float
    busiest_minute_workers: float
    waits: Waits
    after: float
    waits_after: Waits
    windows: list[Window]
    changes: list[tuple[float, int]]
    most_replicas: int
    finished: int
    refused: int
    unfinished: int
    handed_back: int
    gpu_hours: float
    fixed: FixedFleet | None  # None if it was not asked for, or jobs never ended

    @property
    def failed(self) -> int:
        return self.refused + self.unfinished

    @property
    def saved(self) -> float:
        """The share of the fixed fleet's GPU hours that is not needed; below 0 if more are."""
        return 1 - self.gpu_hours / self.fixed.gpu_hours if self.fixed and self.fixed.gpu_hours else 0

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return finite({**asdict(self), "failed": self.failed, "saved": self.saved})


def report(trace: Trace, outcome: Outcome, *, after: float = 0, compare: bool = True) -> Report:
    """Sum an outcome up.

    Args:
        after: a second of the trace; the jobs that came since then are also told by themselves, and it is they that
            the fixed fleet has to do as well with.
        compare: with a fixed fleet, which takes as long as the simulation.
    """
    waits_after = _waits(trace, outcome, after)
    return Report(
        trace.duration,
        trace.busiest_minute,
        _waits(trace, outcome, 0),
        after,
        waits_after,
        list(_windows(trace, outcome)),
        outcome.changes,
        max(replicas for _, replicas in outcome.changes),
        outcome.finished,
        outcome.refused,
        outcome.unfinished,
        outcome.handed_back,
        outcome.gpu_seconds / 3600,
        _fixed(trace, waits_after.p99, after) if compare else None,
    )


def _waits(trace: Trace, outcome: Outcome, after: float) -> Waits:
    waits = outcome.waits[trace.arrivals >= after]
    quantiles = (fixed.quantile(waits, share) for share in (0.5, 0.95, 0.99, 1))
    return Waits(len(waits), *quantiles)


def _windows(trace: Trace, outcome: Outcome) -> Iterator[Window]:
    edges = np.linspace(0, trace.duration, WINDOWS + 1)
    for begins, ends in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        waits = outcome.waits[(trace.arrivals >= begins) & (trace.arrivals < ends)]
        last = next((each for each in reversed(outcome.samples) if each.at <= ends), None)
        p50, p99 = fixed.quantile(waits, 0.5), fixed.quantile(waits, 0.99)
        if last:
            yield Window(begins, len(waits), p50, p99, last.replicas, last.warm, last.waiting)


def _fixed(trace: Trace, p99: float, after: float) -> FixedFleet | None:
    if not math.isfinite(p99) or not len(trace):
        return None
    workers = fixed.smallest(trace, p99=p99, after=after)
    waited = fixed.quantile(fixed.waits(trace, workers)[trace.arrivals >= after], 0.99)
    return FixedFleet(workers, waited, workers * trace.duration / 3600)


def finite(value: Any) -> Any:
    """Return the same as JSON has it: null for what is infinite or no number."""
    match value:
        case dict():
            return {name: finite(each) for name, each in cast(dict[str, Any], value).items()}
        case list() | tuple():
            return [finite(each) for each in cast(list[Any], value)]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value

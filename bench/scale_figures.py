"""What a run of `bench.scale` comes to, beside the simulation of the same load."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.jobs import timestamp
from bench.open_loop import Answer
from planner import fixed
from planner.simulation import Outcome, Sample
from planner.trace import Trace

REPLICAS = 8  # that a burst has to have
WITHIN_SECONDS = 90.0  # after it has begun
MOST_WAIT = 0.8  # p99 of the queue wait from then on, in seconds
TIMES = ("created_at", "started_at", "finished_at")  # of a job


@dataclass(frozen=True)
class Look:
    """The lane at a sync of the HPA, as KEDA read it, and what was decided. Times are in seconds."""

    at: float
    late: float  # how long after its time the sync was
    waiting: int
    taken: int
    oldest: float
    metric: float | None  # what KEDA handed to the HPA; None: nothing
    replicas: int  # from now on
    warm: int
    busy: float  # share of the machine's cores since the look before, whoever used them


@dataclass(frozen=True)
class Run:
    """What has happened; times are in seconds since the load began."""

    looks: Sequence[Look]
    changes: Sequence[tuple[float, int]]  # of the replicas; the first entry is the beginning
    warm_at: Sequence[float]  # when each worker became warm
    cold_starts: Sequence[float]
    worker_seconds: float  # from the beginning to the end of the load
    ended_badly: int  # workers that were told to go, and did not end in order
    answers: Sequence[Answer | None]  # to each job's post, in the order of the trace
    jobs: Mapping[str, Mapping[str, Any]]  # by id, as the gateway lists them in the end
    began_at: float  # Unix seconds


@dataclass(frozen=True)
class Jobs:
    """What came of the jobs of a run."""

    waits: NDArray[np.float64]  # from submission to first start, by the job's record; NaN: it was never started
    refused: int
    failed: int  # accepted, and ended in another way than succeeded
    lost: int  # accepted, and not ended in the end, or not to be found
    again: int  # with more than one attempt
    in_hand: float  # median seconds from first start to finish


def jobs(run: Run) -> Jobs:
    """Look each job up that was submitted."""
    ids = [answer.body.get("id", "") if answer and answer.status == 202 else "" for answer in run.answers]
    found = [run.jobs.get(each) for each in ids]
    ended = [job for job in found if job and job["finished_at"]]
    succeeded = [job for job in ended if job["state"] == "succeeded"]
    accepted = sum(1 for each in ids if each)
    took = [timestamp(job["finished_at"]) - timestamp(job["started_at"]) for job in succeeded]
    return Jobs(
        np.array([_wait(job) for job in found]),
        len(ids) - accepted,
        len(ended) - len(succeeded),
        accepted - len(ended),
        sum(job["attempts"] > 1 for job in ended),
        float(np.median(took)) if took else math.nan,
    )


def _wait(job: Mapping[str, Any] | None) -> float:
    if not job or not job["started_at"]:
        return math.nan
    return max(0.0, timestamp(job["started_at"]) - timestamp(job["created_at"]))


def figures(run: Run, trace: Trace, simulated: Outcome, *, burst_at: float, bars: bool = True) -> list[Figure]:
    """Return every figure of a run, and what the simulation says; `bars` holds times to the issue's bars, too."""
    came = jobs(run)
    return [
        *_job_figures(came, run),
        *_growth_figures(run, simulated, burst_at, bars=bars),
        *_wait_figures(came, trace, simulated, burst_at, bars=bars),
        *_cost_figures(run, came, simulated),
    ]


def _job_figures(came: Jobs, run: Run) -> list[Figure]:
    answers = [answer for answer in run.answers if answer]
    return [
        Figure("jobs", len(came.waits), ""),
        _none("jobs refused", came.refused),
        _none("jobs failed", came.failed),
        _none("jobs lost", came.lost),
        Figure("jobs with more than one attempt", came.again, ""),
        _none("workers that did not stop in order", run.ended_badly),
        Figure("post sent after its time, p99", _p([each.late_seconds for each in answers], 0.99), "s"),
        Figure("post answered, p99", _p([each.seconds for each in answers], 0.99), "s"),
        Figure("sync of the HPA after its time, longest", max((look.late for look in run.looks), default=0), "s"),
    ]


def _none(name: str, count: int) -> Figure:
    return Figure(name, count, "", "0", count == 0)


def _growth_figures(run: Run, simulated: Outcome, burst_at: float, *, bars: bool) -> list[Figure]:
    asked = first(run.changes, REPLICAS) - burst_at
    warm = first(list(enumerated(run.warm_at)), REPLICAS) - burst_at
    bar = f"at most {WITHIN_SECONDS:g}" if bars else ""
    return [
        Figure(f"burst to {REPLICAS} replicas", asked, "s", bar, asked <= WITHIN_SECONDS if bars else None),
        Figure(f"burst to {REPLICAS} replicas, simulated", first(simulated.changes, REPLICAS) - burst_at, "s"),
        Figure(f"burst to {REPLICAS} warm workers", warm, "s", bar, warm <= WITHIN_SECONDS if bars else None),
        Figure("most replicas", max(replicas for _, replicas in run.changes), ""),
        Figure("most replicas, simulated", max(replicas for _, replicas in simulated.changes), ""),
    ]


def first(changes: Sequence[tuple[float, int]], count: int) -> float:
    """Return when there were so many for the first time; infinite: never."""
    return next((at for at, replicas in changes if replicas >= count), math.inf)


def enumerated(times: Sequence[float]) -> Sequence[tuple[float, int]]:
    """Return how many there were at each of these times."""
    return [(at, number) for number, at in enumerate(sorted(times), start=1)]


def _wait_figures(came: Jobs, trace: Trace, simulated: Outcome, burst_at: float, *, bars: bool) -> list[Figure]:
    since = burst_at + WITHIN_SECONDS
    found = list[Figure]()
    for name, begin, end in (
        ("before the burst", 0, burst_at),
        (f"in its first {WITHIN_SECONDS:g} s", burst_at, since),
        ("after that", since, math.inf),
    ):
        inside = (trace.arrivals >= begin) & (trace.arrivals < end)
        for share in (0.5, 0.95, 0.99):
            real, wanted = (fixed.quantile(waits[inside], share) for waits in (came.waits, simulated.waits))
            held = bars and begin == since and share == 0.99
            bar = f"below {MOST_WAIT:g}" if held else ""
            label = f"wait {name}, p{share * 100:g}"
            found += [
                Figure(label, real, "s", bar, real < MOST_WAIT if held else None),
                Figure(f"{label}, simulated", wanted, "s"),
            ]
            if share == 0.99 and wanted:
                found.append(Figure(f"{label}, real to simulated", real / wanted, "times"))
    return found


def _cost_figures(run: Run, came: Jobs, simulated: Outcome) -> list[Figure]:
    return [
        Figure("worker seconds", run.worker_seconds, "s"),
        Figure("worker seconds, simulated", simulated.gpu_seconds, "s"),
        Figure("worker seconds, real to simulated", run.worker_seconds / simulated.gpu_seconds, "times"),
        Figure("cold start, median", _p(run.cold_starts, 0.5), "s"),
        Figure("cold start, longest", max(run.cold_starts, default=0), "s"),
        Figure("a job from start to finish, median", came.in_hand, "s"),
        Figure(
            "cores busy, whoever used them, median of the looks", _p([look.busy for look in run.looks], 0.5), "share"
        ),
    ]


def _p(values: Sequence[float], share: float) -> float:
    return fixed.quantile(np.array(values), share)


def show_timeline(run: Run, samples: Sequence[Sample], trace: Trace) -> None:
    """Print the lane at each sync by its jobs' records, what KEDA was told of it, and the simulated lane."""
    table = Table(title="At each sync of the HPA, what was told included (in brackets: simulated)")
    for name in ("at, s", "arrived", "waiting", "in hand", "told", "wanted", "replicas", "warm", "cores busy"):
        table.add_column(name, justify="right")
    before = 0.0
    for look, sample in zip(run.looks, [*samples, *[None] * len(run.looks)], strict=False):
        waiting, in_hand = counted(run, look.at)
        simulated = [sample.waiting, sample.busy, sample.replicas, sample.warm] if sample else [""] * 4
        real = [waiting, in_hand, look.replicas, look.warm]
        beside = [f"{each} ({other})" for each, other in zip(real, simulated, strict=True)]
        arrived = int(((trace.arrivals >= before) & (trace.arrivals < look.at)).sum())
        wanted = "none" if look.metric is None else f"{look.metric:.1f}"
        told = f"{look.waiting}+{look.taken}"
        table.add_row(f"{look.at:.0f}", f"{arrived}", *beside[:2], told, wanted, *beside[2:], f"{look.busy:.0%}")
        before = look.at
    Console().print(table)


def counted(run: Run, second: float) -> tuple[int, int]:
    """Return how many jobs waited and how many were in hand at a moment, by their records."""
    at = run.began_at + second
    times = [[timestamp(job[name]) if job[name] else math.inf for name in TIMES] for job in run.jobs.values()]
    waiting = sum(created <= at < started for created, started, _ in times)
    return waiting, sum(started <= at < finished for _, started, finished in times)

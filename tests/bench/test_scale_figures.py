"""What a run comes to."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.figures import Figure
from bench.jobs import timestamp
from bench.open_loop import Answer
from bench.scale_figures import Look, Run, counted, figures, first, jobs
from planner.simulation import Outcome
from planner.trace import Trace

BURST_AT = 60.0
TRACE = Trace(np.array([10.0, 70.0, 155.0, 160.0]), np.full(4, 0.2), 300.0)
SIMULATED = Outcome(np.full(4, 0.1), [(0.0, 2), (75.0, 20)], [], 4000.0, 4, 0, 0, 0)
LOOK = Look(75.0, 0.01, waiting=30, taken=2, oldest=4.0, metric=6.4, replicas=20, warm=2, busy=0.5)


def answer(job_id: str = "", status: int = 202) -> Answer:
    return Answer(status, {"id": job_id} if job_id else {}, late_seconds=0.001, seconds=0.01)


def job(wait: float, state: str = "succeeded", *, attempts: int = 1) -> dict[str, Any]:
    def at(second: float) -> str:
        return f"2026-01-05T10:00:{second:06.3f}+00:00"

    ended = state in ("succeeded", "failed")
    return {
        "state": state,
        "attempts": attempts,
        "created_at": at(1),
        "started_at": at(1 + wait) if state != "queued" else None,
        "finished_at": at(1 + wait + 0.21) if ended else None,
    }


def run(*, waits: tuple[float, ...] = (0.1, 5, 0.1, 0.2)) -> Run:
    ids = [f"job {number}" for number in range(len(waits))]
    return Run(
        [LOOK],
        [(0.0, 2), (75.2, 20)],
        [-3.0, -3.0, *[96.0] * 18],
        [20.5] * 18,
        4400.0,
        0,
        [answer(each) for each in ids],
        {each: job(wait) for each, wait in zip(ids, waits, strict=True)},
        timestamp("2026-01-05T10:00:00+00:00"),
    )


def found(of: Run, name: str, *, bars: bool = True) -> Figure:
    every = figures(of, TRACE, SIMULATED, burst_at=BURST_AT, bars=bars)
    return next(each for each in every if each.name == name)


def test_each_job_that_was_submitted_is_looked_up() -> None:
    of = replace(
        run(),
        answers=[answer("good"), answer("bad"), answer("waits"), answer("gone"), answer(status=503), None],
        jobs={"good": job(0.1, attempts=2), "bad": job(0.3, "failed"), "waits": job(0, "queued")},
    )

    came = jobs(of)

    assert (came.refused, came.failed, came.lost, came.again) == (2, 1, 2, 1)
    assert came.waits[:2].tolist() == pytest.approx([0.1, 0.3])
    assert np.isnan(came.waits[2:]).all()
    assert came.in_hand == pytest.approx(0.21)


def test_a_good_run_meets_every_bar() -> None:
    every = figures(run(), TRACE, SIMULATED, burst_at=BURST_AT)

    assert [each.name for each in every if each.passed is False] == []
    assert found(run(), "burst to 8 replicas").value == pytest.approx(15.2)
    assert found(run(), "burst to 8 warm workers").value == 36
    assert found(run(), "worker seconds").value == 4400


def test_only_jobs_after_ninety_seconds_must_not_wait_long() -> None:
    slow = run(waits=(0.1, 5, 0.1, 0.9))

    assert found(run(), "wait after that, p99").passed is True
    assert found(slow, "wait after that, p99").passed is False
    assert found(slow, "wait in its first 90 s, p99").passed is None


def test_a_job_that_never_began_waited_forever() -> None:
    of = run()
    of = replace(of, jobs={**of.jobs, "job 3": job(0, "queued")})

    assert found(of, "wait after that, p99").value == math.inf
    assert found(of, "jobs lost").passed is False


def test_a_fleet_that_grows_late_misses_its_bar() -> None:
    assert found(replace(run(), changes=[(0.0, 2), (151.0, 20)]), "burst to 8 replicas").passed is False
    assert found(replace(run(), changes=[(0.0, 2), (75.0, 7)]), "burst to 8 replicas").value == math.inf
    assert found(replace(run(), changes=[(0.0, 2), (75.0, 7)]), "burst to 8 replicas", bars=False).passed is None


def test_the_first_time_counts() -> None:
    assert first([(0.0, 2), (75.0, 9), (90.0, 3), (105.0, 9)], 8) == 75


def test_what_waited_and_what_was_in_hand_is_known_from_the_records() -> None:
    of = run(waits=(0.1, 5, 0.5))  # all were submitted at second 1, and took 0.21 s

    assert counted(of, 0.9) == (0, 0)
    assert counted(of, 1.2) == (2, 1)
    assert counted(of, 2.0) == (1, 0)

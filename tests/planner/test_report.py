"""Figures, the fleet to compare with, the search, the picture."""

import json
import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from planner import engine_seconds, fixed, formula, hpa, plot, text, trace
from planner.errors import PlanError
from planner.report import report
from planner.scaled_object import Modifiers, Queue, ScaledObject
from planner.search import suggest
from planner.simulation import World, simulate
from planner.supply import Supply
from planner.trace import Trace

TOTAL = Queue("total", "tts.x", 4)
LANE = ScaledObject("lane", 1, hpa.Limits(1, 12), (TOTAL,), modifiers=Modifiers(formula.parse("max(total / 4, 1)"), 1))


def steady(rate: float, seconds: float) -> Trace:
    rng = np.random.default_rng(3)
    return trace.from_pattern(f"{rate} rps for {seconds} s", engine_seconds.parse("exponential 0.5"), rng=rng)


def test_a_quantile_is_a_wait_that_was_measured() -> None:
    waits = np.array([5.0, 1, 2, 3, 4])

    assert [fixed.quantile(waits, share) for share in (0.2, 0.5, 0.61, 1)] == [1, 3, 4, 5]
    assert fixed.quantile(np.array([]), 0.5) == 0
    assert fixed.quantile(np.array([1.0, math.nan]), 0.99) == math.inf


@pytest.mark.parametrize(("workers", "load"), [(1, 0.5), (2, 1.4), (4, 3.2)])
def test_a_fixed_fleet_waits_as_erlang_s_formula_says(workers: int, load: float) -> None:
    """The share that waits and the mean wait of an M/M/c queue (Erlang C), with engine seconds of 0.5 on average."""
    waits = fixed.waits(steady(load / 0.5, 100_000), workers)

    powers = [load**count / math.factorial(count) for count in range(workers)]
    last = load**workers / math.factorial(workers) * workers / (workers - load)
    share = last / (sum(powers) + last)
    assert (waits > 0).mean() == pytest.approx(share, rel=0.05)
    assert waits.mean() == pytest.approx(share * 0.5 / (workers - load), rel=0.1)


def test_a_fleet_that_is_not_scaled_waits_as_the_fixed_one() -> None:
    load = steady(5, 2000)
    still = replace(LANE, min_replicas=4, limits=hpa.Limits(4, 4))

    assert simulate(still, load, World()).waits == pytest.approx(fixed.waits(load, 4))


def test_the_fixed_fleet_is_the_smallest_that_suffices() -> None:
    load = steady(6, 2000)

    workers = fixed.smallest(load, p99=1.0)

    assert fixed.quantile(fixed.waits(load, workers), 0.99) <= 1
    assert fixed.quantile(fixed.waits(load, workers - 1), 0.99) > 1


def test_a_report_adds_up() -> None:
    load = steady(6, 900)
    outcome = simulate(LANE, load, World(Supply(10)))

    result = report(load, outcome, after=300)

    assert result.waits.jobs == len(load) == result.finished
    assert result.waits_after.jobs == int((load.arrivals >= 300).sum())
    assert sum(window.jobs for window in result.windows) == len(load)
    assert result.fixed
    assert result.fixed.gpu_hours == pytest.approx(result.fixed.workers * 900 / 3600)
    assert result.saved == pytest.approx(1 - result.gpu_hours / result.fixed.gpu_hours)
    assert result.fixed.p99 <= result.waits_after.p99 <= result.waits.longest
    assert result.busiest_minute_workers == pytest.approx(3, rel=0.5)


def test_gpu_hours_are_the_workers_over_time() -> None:
    load = steady(6, 900)
    outcome = simulate(LANE, load, World(Supply(cold_start_seconds=0)))

    edges = [*outcome.changes, (900.0, 0)]
    held = sum(count * (until - at) for (at, count), (until, _) in pairwise(edges))

    assert outcome.gpu_seconds >= held  # those that leave are counted until they have finished
    assert outcome.gpu_seconds == pytest.approx(held, rel=0.02)


def test_json_has_no_infinite_number() -> None:
    load = Trace(np.array([0.0, 0.0]), np.array([80_000.0, 1.0]), 60)
    result = report(load, simulate(replace(LANE, limits=hpa.Limits(1, 1)), load, World()))

    assert (result.waits.p99, result.failed, result.fixed) == (math.inf, 2, None)
    told = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert (told["waits"]["p99"], told["failed"]) == (None, 2)


def test_lines_for_people_name_what_counts() -> None:
    load = steady(6, 900)
    result = report(load, simulate(LANE, load, World(Supply(10))), after=300)

    lines = list(text.lines(LANE, result, load="6 rps"))

    assert lines[0] == "lane       lane, 1 to 12 workers, 4 messages for each"
    assert f"{len(load):,} spoken, 0 failed" in lines[2]
    assert lines[4].startswith("  since 300 s: p50")
    assert "workers that are always there" in lines[5]


def test_the_search_finds_values_that_meet_the_target() -> None:
    load, world = steady(6, 900), World(Supply(10))
    before = report(load, simulate(LANE, load, world), after=300)
    target = before.waits_after.p99 / 2

    found = suggest(LANE, load, world, target_p99=target, after=300)

    assert found.met
    again = report(load, simulate(found.scaled, load, world), after=300)
    assert again.waits_after.p99 == found.report.waits_after.p99 <= target
    assert found.scaled.messages_per_replica < 4 or found.scaled.min_replicas > 1
    assert found.scaled.max_replicas <= found.report.most_replicas


def test_the_search_does_not_pay_for_what_nobody_asks_for() -> None:
    load, world = steady(6, 900), World(Supply(10))

    easy = suggest(LANE, load, world, target_p99=60, after=300)
    hard = suggest(LANE, load, world, target_p99=0.2, after=300)

    assert easy.met
    assert hard.met
    assert easy.report.gpu_hours < hard.report.gpu_hours


def test_the_search_says_when_nothing_meets_the_target() -> None:
    load = Trace(np.array([0.0] * 50), np.full(50, 10.0), 300)

    found = suggest(LANE, load, World(Supply(60)), target_p99=0.001)

    assert not found.met
    assert "nothing found" in next(iter(text.suggestion(found, target=0.001)))


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    load = steady(6, 900)
    file = tmp_path / "lane.png"

    plot.draw(file, load, simulate(LANE, load, World(Supply(10))), title="lane")

    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(PlanError, match="can't be written: No such file"):
        plot.draw(tmp_path / "none" / "lane.png", load, simulate(LANE, load, World()), title="lane")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    load = steady(6, 60)

    with pytest.raises(PlanError, match=r"pip install 'emotivoice-fleet\[plot\]'"):
        plot.draw(tmp_path / "lane.png", load, simulate(LANE, load, World()), title="lane")

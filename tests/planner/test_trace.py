"""Loads from patterns and files."""

from pathlib import Path

import numpy as np
import pytest

from planner import engine_seconds, trace
from planner.errors import PlanError

FIXED = engine_seconds.parse("0.2")


def of(pattern: str, *, seed: int = 1, duration: float | None = None) -> trace.Trace:
    return trace.from_pattern(pattern, FIXED, rng=np.random.default_rng(seed), duration=duration)


def between(load: trace.Trace, begins: float, ends: float) -> int:
    return int(((load.arrivals >= begins) & (load.arrivals < ends)).sum())


def near(count: int, expected: float) -> bool:
    """Poisson's deviation is the root of the mean; five of them are left out once in a million."""
    return abs(count - expected) <= 5 * np.sqrt(expected)


def test_a_jump_has_one_rate_before_and_another_after() -> None:
    load = of("2->35 rps at 60 s")

    assert load.duration == 600
    assert near(between(load, 0, 60), 120)
    assert near(between(load, 60, 600), 540 * 35)
    assert bool((np.diff(load.arrivals) >= 0).all())


def test_pieces_follow_each_other() -> None:
    load = of("10 rps for 1 min, 10..30 rps for 100 s, 30 rps for 60 s")

    assert load.duration == 220
    assert near(between(load, 60, 110), 50 * 15)
    assert near(between(load, 110, 160), 50 * 25)
    assert near(between(load, 160, 220), 1800)


def test_a_ramp_may_begin_or_end_at_nothing() -> None:
    load = of("0..20 rps for 100 s, 20..0 rps for 100 s")

    assert near(len(load), 2000)
    assert near(between(load, 50, 150), 1500)


def test_jobs_may_come_all_at_once() -> None:
    load = of("30 jobs at 5 s", duration=60)

    assert load.arrivals.tolist() == [5.0] * 30


def test_a_day_has_its_peak_before_noon_and_a_quiet_night() -> None:
    load = of("day 5 rps")

    assert load.duration == 86_400
    assert near(between(load, 10.5 * 3600, 11.5 * 3600), 3600 * 5 * (0.975 + 0.9375) / 2)
    assert near(between(load, 0, 3600), 3600 * 5 * 0.01)
    assert near(len(load), 86_400 * 5 * float(np.mean(trace.DAY)))


def test_the_same_seed_gives_the_same_jobs() -> None:
    one, same, other = of("5 rps for 60 s"), of("5 rps for 60 s"), of("5 rps for 60 s", seed=2)

    assert one.arrivals.tolist() == same.arrivals.tolist() != other.arrivals.tolist()


def test_the_last_rate_goes_on_until_the_end_that_is_asked_for() -> None:
    assert near(between(of("5 rps for 60 s", duration=600), 60, 600), 2700)
    assert of("5 rps for 600 s", duration=60).arrivals.max() < 60


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("lots", "the pattern has 'lots'; it takes 2->35 rps at 60 s"),
        ("5 rps for 60 s, and more", "the pattern has 'and more'"),
        ("9000 rps for 24 h", "makes about 777,600,000 jobs; a trace may have 5,000,000"),
        ("1 rps for 9999 h", "it may have up to"),
    ],
)
def test_a_pattern_that_can_t_be_used_is_named(pattern: str, said: str) -> None:
    with pytest.raises(PlanError) as raised:
        of(pattern)
    assert said in str(raised.value)


def from_file(path: Path, text: str) -> trace.Trace:
    file = path / "jobs.csv"
    file.write_text(text)
    return trace.from_csv(file, FIXED, rng=np.random.default_rng(1))


def test_a_file_has_a_line_for_each_job(tmp_path: Path) -> None:
    load = from_file(tmp_path, "seconds,engine_seconds\n3,0.5\n1.5\n\n2,4\n")

    assert load.arrivals.tolist() == [1.5, 2, 3]
    assert load.engine_seconds.tolist() == [0.2, 4, 0.5]
    assert load.duration == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seconds\n", "has no jobs"),
        ("", "has no jobs"),
        ("1\n2,3,4\n", r"line 2 of .*jobs.csv is '2,3,4'"),
        ("1\nsoon\n", r"line 2 of .* is 'soon'; it takes seconds\[,engine_seconds\]"),
        ("1\n-2\n", "line 2 of .* is '-2'"),
        ("1\nnan\n", "line 2 of .* is 'nan'"),
    ],
)
def test_a_file_that_can_t_be_used_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        from_file(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "mean", "deviation"),
    [
        ("0.2", 0.2, 0),
        ("uniform 0.1..0.4", 0.25, 0.3 / np.sqrt(12)),
        ("exponential 0.2", 0.2, 0.2),
        ("lognormal 0.2 cv 0.5", 0.2, 0.1),
    ],
)
def test_engine_seconds_have_the_mean_and_the_deviation_that_were_told(
    text: str, mean: float, deviation: float
) -> None:
    drawn = engine_seconds.parse(text).draw(200_000, np.random.default_rng(1))

    assert drawn.mean() == pytest.approx(mean, rel=0.01)
    assert drawn.std() == pytest.approx(deviation, rel=0.02, abs=1e-9)


@pytest.mark.parametrize("text", ["soon", "0", "uniform 2..1", "lognormal 0.2", "normal 0.2", "-1", "99999999"])
def test_engine_seconds_that_can_t_be_used_are_named(text: str) -> None:
    with pytest.raises(PlanError, match="the engine's seconds are"):
        engine_seconds.parse(text)

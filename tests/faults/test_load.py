"""A long queue: nobody's memory grows, and what clients are told of their place comes true."""

from pathlib import Path

import pytest

from bench.load import WORKERS, Ran, Told, measured, place_figures
from bench.memory import growth

RAN = {f"job {number}": Ran(started_at=100.0 + number, finished_at=102.0 + number) for number in range(100)}


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_memory_stays_flat_and_places_in_the_queue_come_true(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    long = request.config.getoption("--faults") == "long"

    figures = measured(tmp_path, jobs=10_000 if long else 1500)

    assert not [figure for figure in figures if figure.passed is False], figures


def missed(*, position: int = 41, eta_seconds: float = 42.0) -> list[str]:
    """Ask for job 50 when ten have started, and be told this; return the bars that are missed."""
    told = [Told("job 50", 109.9, 110.0, position, eta_seconds)] * 10
    return [figure.name for figure in place_figures(told, RAN) if figure.passed is False]


def test_a_place_that_came_true_is_right() -> None:
    assert missed() == []


@pytest.mark.parametrize("error", [-WORKERS - 2, WORKERS + 2])
def test_a_wrong_position_is_noticed(error: int) -> None:
    assert missed(position=41 + error) == ["position, largest error"]


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_wrong_eta_is_noticed(factor: float) -> None:
    assert missed(eta_seconds=42.0 * factor) == ["ETA, error of nine in ten"]


def test_memory_that_is_flat_after_a_warm_up_has_not_grown() -> None:
    assert growth([10, 20, *[50] * 8]) == 0


def test_memory_that_grows_all_the_time_has_grown() -> None:
    assert growth(list(range(100))) == 60

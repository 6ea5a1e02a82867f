"""The bars that the shipped ScaledObjects have to pass in the simulation (docs/planning.md shows them as commands)."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from planner import engine_seconds, formula, manifest, trace
from planner.report import Report, report
from planner.scaled_object import Floor, ScaledObject
from planner.simulation import World, simulate
from planner.supply import Supply

KEDA = Path(__file__).resolve().parent.parent.parent / "k8s" / "keda"
SEGMENT = engine_seconds.parse("lognormal 0.2 cv 0.5")
TARGET_SECONDS = 0.8
WORKDAY = datetime(2026, 1, 5, 10)


def shipped(lane: str) -> ScaledObject:
    (scaled,) = manifest.load(KEDA / f"scaledobject-worker-{lane}.yaml")
    return scaled


def run(scaled: ScaledObject, pattern: str, *, seed: int, after: float = 0, world: World, engine: str = "") -> Report:
    """Simulate with the looks of KEDA and the HPA where the seed puts them."""
    rng = np.random.default_rng(seed)
    seconds = engine_seconds.parse(engine) if engine else SEGMENT
    load = trace.from_pattern(pattern, seconds, rng=rng)
    phased = replace(world, sync_phase=15 * rng.random(), poll_phase=scaled.polling_seconds * rng.random())
    return report(load, simulate(scaled, load, phased), after=after)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_burst_from_2_to_35_jobs_a_second(seed: int) -> None:
    """No failed job, 2 -> 8 workers or more within 90 s, and p99 under 800 ms after that, for half an hour."""
    burst = "2 rps for 60 s, 35 rps for 30 min"

    result = run(shipped("interactive"), burst, seed=seed, after=60 + 90, world=World(Supply(20), begins=WORKDAY))

    assert result.failed == 0
    assert result.changes[0] == (0.0, 2)
    eight = next(at for at, replicas in result.changes if replicas >= 8)
    assert 60 < eight < 60 + 90 - 20  # asked for so early that they are warm by then
    assert result.waits_after.p99 < TARGET_SECONDS


@pytest.mark.parametrize(("floor", "standby_nodes", "met"), [(2, 0, False), (2, 1, False), (2, 10, True), (8, 0, True)])
def test_where_nodes_take_two_minutes_the_burst_needs_warm_workers_or_many_standby_nodes(
    floor: int, standby_nodes: int, met: bool
) -> None:
    scaled = shipped("interactive")
    raised = [replace(each, replicas=floor) if isinstance(each, Floor) else each for each in scaled.triggers]
    supply = Supply(20, node_start_seconds=120, node_idle_seconds=600, standby_nodes=standby_nodes)
    world = World(supply, begins=WORKDAY)

    result = run(
        replace(scaled, triggers=tuple(raised)), "2 rps for 60 s, 35 rps for 10 min", seed=1, after=60 + 90, world=world
    )

    assert (result.waits_after.p99 < TARGET_SECONDS) is met


def test_a_day_costs_less_than_two_fifths_of_the_fixed_fleet_with_the_same_p99() -> None:
    result = run(shipped("interactive"), "day 35 rps", seed=1, world=World(Supply(20)))

    assert result.failed == 0
    assert result.waits.p99 < TARGET_SECONDS
    assert result.fixed
    assert result.fixed.p99 <= result.waits.p99
    assert result.saved >= 0.6


@pytest.mark.parametrize("which", ["broker_away", "prometheus_away"])
def test_a_burst_that_nobody_can_see_is_met_all_the_same(which: str) -> None:
    burst = "2 rps for 60 s, 35 rps for 10 min"
    blind = replace(World(Supply(20), begins=WORKDAY), **{which: (50, 400)})

    result = run(shipped("interactive"), burst, seed=1, after=150, world=blind)

    assert result.failed == 0
    assert result.waits_after.p99 < TARGET_SECONDS


@pytest.mark.parametrize(
    ("lane", "pattern", "engine", "cold", "longest"),
    [
        ("bulk", "500 jobs at 60 s", "lognormal 3 cv 0.5", 20, 300),
        ("assembly", "40 jobs at 60 s", "lognormal 1 cv 1", 5, 60),
    ],
)
def test_the_lanes_that_sleep_wake_and_sleep_again(
    lane: str, pattern: str, engine: str, cold: float, longest: float
) -> None:
    scaled = shipped(lane)

    result = run(scaled, f"{pattern}, 0 rps for 1 h", seed=1, world=World(Supply(cold)), engine=engine)

    assert (result.changes[0][1], result.changes[-1][1]) == (0, 0)
    assert result.failed == 0
    assert result.waits.longest < longest


@pytest.mark.parametrize(
    ("lane", "pattern", "engine"),
    [
        ("interactive", "0.2..2 rps for 60 min", "lognormal 3 cv 1"),
        ("bulk", "0.05 rps for 3 h", "lognormal 60 cv 0.5"),
        ("assembly", "0.02..0.2 rps for 60 min", "lognormal 20 cv 0.5"),
    ],
)
def test_the_age_of_the_oldest_job_helps_where_segments_take_longer_than_thought(
    lane: str, pattern: str, engine: str
) -> None:
    """Fifteen to twenty times as long as the number of messages for each worker was made for."""
    scaled = shipped(lane)

    both = [
        run(each, pattern, seed=1, world=World(Supply(20), begins=WORKDAY), engine=engine)
        for each in (scaled, without_age(scaled))
    ]

    assert both[0].waits.p99 < 0.7 * both[1].waits.p99


def without_age(scaled: ScaledObject) -> ScaledObject:
    assert scaled.modifiers
    text, _, _ = scaled.modifiers.formula.text.partition(", late >")
    modifiers = replace(scaled.modifiers, formula=formula.parse(f"{text})"))
    return replace(scaled, triggers=tuple(each for each in scaled.triggers if each.name != "late"), modifiers=modifiers)

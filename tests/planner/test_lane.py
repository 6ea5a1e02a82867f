"""A lane: its queue, its workers, and the nodes they run on."""

import math
from dataclasses import replace
from datetime import time

import numpy as np
import pytest

from planner import hpa
from planner.scaled_object import Fallback, FallbackBehavior, Queue, ScaledObject
from planner.simulation import Outcome, World, simulate
from planner.supply import Supply
from planner.trace import Trace

# One worker for each message, without a look ahead or behind.
EAGER = ScaledObject(
    "eager",
    0,
    hpa.Limits(1, 10, hpa.Rules(0, (hpa.Policy(hpa.PolicyType.PODS, 10, 15),)), hpa.Rules(0, hpa.DOWN.policies)),
    (Queue("", "tts.x", 1),),
    polling_seconds=5,
    cooldown_seconds=10,
)


def jobs(*arrivals: float, engine: float, until: float = 200) -> Trace:
    return Trace(np.array(arrivals), np.full(len(arrivals), engine), until)


def fixed(replicas: int) -> ScaledObject:
    return replace(EAGER, min_replicas=replicas, limits=hpa.Limits(replicas, replicas))


def run(scaled: ScaledObject, load: Trace, world: World) -> Outcome:
    return simulate(scaled, load, world)


def test_jobs_are_begun_in_their_order_by_whoever_is_free() -> None:
    outcome = run(fixed(2), jobs(0, 0, 0, 1, engine=10), World())

    assert outcome.waits.tolist() == [0, 0, 10, 9]
    assert outcome.finished == 4


@pytest.mark.parametrize(("behind", "looks_at"), [(0, 8), (1, 13)])
def test_a_worker_takes_nothing_before_it_is_warm(behind: int, looks_at: int) -> None:
    world = World(Supply(cold_start_seconds=20), poll_phase=3, counts_behind=behind)

    outcome = run(EAGER, jobs(1, engine=2), world)

    # The queue counts at 5 s, and the API tells of it then or at 10 s. KEDA looks at 3 s, 8 s and 13 s.
    assert outcome.waits.tolist() == [looks_at + 20 - 1]


def test_a_busy_worker_that_is_to_go_finishes_its_segment() -> None:
    load = jobs(0, 0, engine=100)
    shrinking = replace(EAGER, triggers=(Queue("", "tts.x", 1, over_http=False, counts_taken=False),), min_replicas=1)

    outcome = run(shrinking, load, World(replicas=2))

    assert outcome.changes[:2] == [(0.0, 2), (15.0, 1)]
    assert outcome.waits.tolist() == [0, 0]
    assert (outcome.finished, outcome.handed_back) == (2, 0)
    assert outcome.gpu_seconds == pytest.approx(200 + 100)  # the one that goes costs until it has finished


def test_what_does_not_fit_into_the_grace_period_is_handed_back_and_begun_anew() -> None:
    load = jobs(0, 0, engine=100)
    shrinking = replace(EAGER, triggers=(Queue("", "tts.x", 1, over_http=False, counts_taken=False),), min_replicas=1)

    outcome = run(shrinking, load, World(Supply(grace_seconds=30, cold_start_seconds=1), replicas=2))

    assert (outcome.finished, outcome.handed_back, outcome.unfinished) == (2, 1, 0)


def test_idle_workers_go_first_only_where_pod_deletion_costs_say_so() -> None:
    """Without them Kubernetes removes the youngest: here the one that took the second job."""
    load = Trace(np.array([0.0, 0.0]), np.array([5.0, 100.0]), 200)

    def gpu_seconds(*, idle_first: bool) -> float:
        return run(EAGER, load, World(Supply(idle_first=idle_first), replicas=2, counts_behind=0)).gpu_seconds

    # At 15 s one is idle and one at work. Either the idle one goes, or the busy one does, and both cost until it ends.
    assert gpu_seconds(idle_first=True) < gpu_seconds(idle_first=False)


def test_a_lane_that_is_full_refuses() -> None:
    outcome = run(fixed(1), jobs(0, 0, 0, 0, engine=10), World(lane_messages=2))

    assert (outcome.finished, outcome.refused) == (3, 1)
    assert math.isnan(outcome.waits[3])


def test_jobs_that_never_end_are_told() -> None:
    outcome = run(fixed(1), jobs(0, 0, engine=80_000.0), World())

    assert (outcome.finished, outcome.unfinished) == (0, 2)


def test_a_new_node_takes_its_time_and_an_idle_one_is_kept_for_a_while() -> None:
    load = jobs(1, 100, engine=1, until=400)
    supply = Supply(cold_start_seconds=10, node_start_seconds=50, node_idle_seconds=60)

    outcome = run(EAGER, load, World(supply, poll_phase=2))

    # Asked for at 12 s, when the API tells what was at 5 s: node at 62 s, warm at 72 s.
    assert outcome.waits[0] == pytest.approx(71)
    assert outcome.waits[1] < 30  # the node was still there


def test_standby_nodes_cost_and_save_the_wait_for_a_node() -> None:
    load = jobs(1, engine=1, until=400)
    slow = Supply(cold_start_seconds=10, node_start_seconds=50)

    waiting = run(EAGER, load, World(slow, poll_phase=2))
    standby = run(EAGER, load, World(replace(slow, standby_nodes=1), poll_phase=2))

    assert waiting.waits[0] - standby.waits[0] == pytest.approx(50)
    # Its own node, and from 12 s to 62 s the one that is fetched for it when the worker takes that.
    assert standby.gpu_seconds == pytest.approx(400 + 50)


def test_standby_nodes_are_kept_in_their_hours_only() -> None:
    day = jobs(until=24 * 3600, engine=1)
    office = Supply(
        standby_nodes=2, standby_hours=(time(7, 45), time(18)), node_start_seconds=60, node_idle_seconds=600
    )

    outcome = run(EAGER, day, World(office))

    assert outcome.gpu_seconds == pytest.approx(2 * (10.25 * 3600 + 600))


def test_there_are_never_more_workers_at_work_than_nodes() -> None:
    outcome = run(EAGER, jobs(*[1.0] * 30, engine=10), World(Supply(cold_start_seconds=1, max_nodes=3)))

    assert max(sample.replicas for sample in outcome.samples) == 10
    assert max(sample.busy for sample in outcome.samples) == 3
    assert outcome.finished == 30


def test_a_worker_that_goes_before_its_node_comes_leaves_the_node_to_the_next() -> None:
    load = jobs(*[1.0] * 10, engine=5, until=600)
    supply = Supply(cold_start_seconds=1, max_nodes=2, node_start_seconds=30)

    outcome = run(EAGER, load, World(supply, poll_phase=2))

    assert outcome.finished == 10
    assert outcome.samples[-1].replicas == 0
    assert outcome.gpu_seconds < 2 * 200


def test_while_the_broker_can_t_be_read_nobody_is_cut() -> None:
    load = jobs(*np.arange(0, 300, 2.0).tolist(), engine=8, until=400)
    fallback = Fallback(3, 2, FallbackBehavior.CURRENT_IF_HIGHER)
    blind = World(Supply(1), broker_away=(100, 250), replicas=4)

    outcome = run(replace(EAGER, fallback=fallback), load, blind)

    during = {sample.replicas for sample in outcome.samples if 100 <= sample.at < 250}
    assert len(during) == 1
    assert during.pop() >= 2


def test_the_same_seed_and_world_give_the_same_outcome() -> None:
    load = jobs(*np.arange(0, 100, 0.5).tolist(), engine=3)

    one, same = (run(EAGER, load, World(Supply(7))) for _ in range(2))

    assert one.changes == same.changes
    assert one.waits.tolist() == same.waits.tolist()

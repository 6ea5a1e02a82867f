"""A lane with more work than its jobs may wait for."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from gateway.admission import most_ahead
from gateway.settings import GatewaySettings
from shared.jobs import Lane
from shared.ports import LaneLoad
from tests.gateway.conftest import World, world_with

LOAD = LaneLoad(waiting=0, oldest_seconds=0.0, seconds_per_step=0.5, service_seconds=2.0, warm_workers=1)


@pytest.fixture
def short() -> Iterator[World]:
    """A lane of half a second for each step, in which a job may wait for 2 s."""
    with world_with(GatewaySettings(interactive_wait_limit_seconds=2, interactive_window=1)) as world:
        world.records.warm["worker"] = Lane.INTERACTIVE
        yield world


def refusals() -> float:
    labels = {"tenant": "default", "reason": "overloaded"}
    return REGISTRY.get_sample_value("emotivoice_refused_total", labels) or 0.0


def test_what_would_wait_too_long_is_refused_and_told_when_to_come_again(short: World) -> None:
    before = refusals()
    for _ in range(4):
        short.submit()

    answer = short.client.post("/v1/jobs", json={"text": "One too many"})

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["Retry-After"] == "1"
    assert len(short.records.jobs) == len(short.queue.messages) == 4
    assert refusals() == before + 1


def test_another_lane_is_not_full_with_it(short: World) -> None:
    for _ in range(4):
        short.submit()

    short.submit(lane="bulk")


def test_while_nobody_is_warm_nobody_knows_how_long_it_takes(short: World) -> None:
    short.records.warm.clear()

    for _ in range(6):
        short.submit()


@pytest.mark.parametrize("unknown", [{"seconds_per_step": None}, {"warm_workers": 0}])
def test_there_is_no_bound_before_the_lane_is_measured(unknown: dict[str, None]) -> None:
    assert most_ahead(replace(LOAD, **unknown), Lane.INTERACTIVE, GatewaySettings()) == 0


def test_the_bound_is_what_is_done_in_the_limit_but_never_less_than_scaling_needs_to_see() -> None:
    settings = GatewaySettings(interactive_wait_limit_seconds=600, interactive_window=100)

    assert most_ahead(LOAD, Lane.INTERACTIVE, settings) == 1200
    assert most_ahead(replace(LOAD, seconds_per_step=60.0), Lane.INTERACTIVE, settings) == 100
    assert most_ahead(LOAD, Lane.STANDIN, settings) == 0

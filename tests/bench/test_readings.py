"""What KEDA reads."""

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from bench.readings import counts, oldest
from gateway.metrics import OLDEST_WAITING
from shared.jobs import Lane


@pytest.fixture
def metrics() -> Iterator[str]:
    """What a gateway tells."""
    OLDEST_WAITING.labels(Lane.BULK).set(300)
    OLDEST_WAITING.labels(Lane.INTERACTIVE).set(7.5)
    yield generate_latest().decode()
    OLDEST_WAITING.clear()


def test_the_age_is_the_lanes_own(metrics: str) -> None:
    assert oldest(metrics, Lane.INTERACTIVE) == 7.5
    assert oldest(metrics, Lane.BULK) == 300


def test_a_lane_of_which_nothing_is_told_has_no_age(metrics: str) -> None:
    assert oldest(metrics, Lane.ASSEMBLY) == 0


def test_a_queue_that_was_just_declared_has_no_messages() -> None:
    assert counts({"name": "tts.interactive"}) == (0, 0)
    assert counts({"messages": 7, "messages_ready": 5, "messages_unacknowledged": 2}) == (5, 2)

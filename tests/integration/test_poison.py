"""A text that harms whoever speaks it: few attempts, a clear end, and nobody else is harmed."""

import uuid

import pytest

from shared.jobs import Lane
from tests.api import children
from tests.integration.conftest import RunningFleet
from tests.integration.test_batching import batching, outcomes

pytestmark = pytest.mark.integration

DEADLY = ["segfault", "kill"]
HARMFUL = [
    ("systemexit", "internal_error", 1),
    ("interrupt", "internal_error", 1),
    ("nan", "invalid_audio", 3),
    ("silence", "invalid_audio", 3),
    ("empty", "invalid_audio", 3),
]


def poison(word: str) -> str:
    return f"Please {word} now, {uuid.uuid4().hex}."


@pytest.mark.parametrize("word", DEADLY)
def test_a_text_that_kills_its_child_is_given_up(fleet: RunningFleet, word: str) -> None:
    ids = [fleet.api.submit(text) for text in ("Before it.", poison(word), "After it.")]

    ended = outcomes(fleet, ids)

    assert ended[1] == ("failed", "worker_lost", 3)
    assert [state for state, _, _ in ended[::2]] == ["succeeded"] * 2


@pytest.mark.parametrize(("word", "code", "attempts"), HARMFUL)
def test_a_text_that_harms_without_killing_leaves_the_child_as_it_is(
    fleet: RunningFleet, word: str, code: str, attempts: int
) -> None:
    worker = fleet.fleet.workers[Lane.INTERACTIVE]
    before = children(worker.pid)

    ids = [fleet.api.submit(text) for text in ("Before it.", poison(word), "After it.")]

    ended = outcomes(fleet, ids)
    assert ended[1] == ("failed", code, attempts)
    assert [state for state, _, _ in ended[::2]] == ["succeeded"] * 2
    assert children(worker.pid) == before


@pytest.mark.parametrize(("word", "code"), [(word, "worker_lost") for word in DEADLY] + [row[:2] for row in HARMFUL])
def test_in_a_batch_it_harms_nobody_else(fleet: RunningFleet, word: str, code: str) -> None:
    texts = [f"Neighbour {number}, {uuid.uuid4().hex}." for number in range(5)]
    with batching(fleet, [*texts[:3], poison(word), *texts[3:]]) as (_, ids):
        ended = outcomes(fleet, ids)

    assert ended[3][:2] == ("failed", code)
    assert [state for state, _, _ in ended[:3] + ended[4:]] == ["succeeded"] * 5

"""Each audio is made by one worker at a time; the others wait for it, and it costs them nothing."""

import pytest

from shared.audio_address import audio_address
from shared.jobs import JobState
from shared.ports import Holder
from tests.worker.conftest import World
from worker import claims
from worker.ending import Verdict


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(claims, "POLL_SECONDS", 0.0)


def address_of(world: World, job_id: str) -> str:
    return audio_address(world.jobs.requests[job_id], engine_revision=world.engine.revision)


def test_what_another_worker_speaks_is_left_for_later(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.jobs.claims[address_of(world, job_id)] = Holder("another job:0", "its token")

    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.RETRY, "spoken_elsewhere")
    assert world.engine.spoken == []
    step = world.step(job_id)
    assert (step.put_back, step.retries, step.deaths) == (1, 0, 0)


def test_waiting_never_counts_as_a_failure(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.jobs.claims[address_of(world, job_id)] = Holder("another job:0", "its token")
    for _ in range(50):
        assert world.deliver(job_id).verdict is Verdict.RETRY

    world.jobs.claims.clear()
    world.deliver(job_id)

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert world.jobs.jobs[job_id].attempts == 1


def test_while_it_is_spoken_it_is_claimed_and_then_no_more(world: World) -> None:
    first, second = world.submit("Hello there."), world.submit("Hello there.")
    seen: list[str] = []
    world.engine.after_each = lambda _: seen.append(world.deliver(second).outcome)

    world.deliver(first)

    assert seen == ["spoken_elsewhere"]
    assert world.jobs.claims == {}
    world.deliver(second)
    assert world.audio(second) == world.audio(first)
    assert len(world.engine.spoken) == 1


def test_who_fails_lets_the_next_try_at_once(world: World) -> None:
    first, second = world.submit("Please refuse."), world.submit("Please refuse.")
    world.deliver(first)

    world.deliver(second)

    assert [world.failure(job_id) for job_id in (first, second)] == ["engine_failed", "engine_failed"]
    assert world.jobs.claims == {}
    assert world.jobs.uploads == set()


def test_what_was_stored_for_a_job_that_is_over_is_known_to_the_sweeper(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.submit("Hello there.")
    put = world.objects.put

    def cancelled_meanwhile(*what: object, **how: object) -> None:
        put(*what, **how)  # pyright: ignore[reportArgumentType]
        world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=1.0)

    monkeypatch.setattr(world.objects, "put", cancelled_meanwhile)
    world.deliver(job_id)

    assert world.jobs.uploads == set(world.objects.objects)
    assert len(world.jobs.uploads) == 1
    assert world.jobs.claims == {}

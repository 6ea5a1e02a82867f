"""Jobs that are spoken together on a real worker: whatever happens to it, each ends by itself and none is lost."""

import os
import signal
import uuid
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import pytest

from shared.jobs import Lane
from tests.api import Json, children, metric
from tests.integration.conftest import RunningFleet, Worker
from tests.integration.test_delivery import is_right
from tests.integration.test_outages import stopped
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

ENGINE = "tests.engines:obedient_in_batches"
TOGETHER = 6


def in_hand(worker: Worker) -> int:
    lines = httpx.get(f"{worker.url}/metrics", trust_env=False).text.splitlines()
    return round(sum(float(line.split()[1]) for line in lines if line.startswith("emotivoice_steps_in_hand")))


@contextmanager
def batching(fleet: RunningFleet, texts: list[str], **settings: str) -> Generator[tuple[Worker, list[str]]]:
    """The lane's only worker, which batches, with these texts queued before it starts."""
    with fleet.without_worker(Lane.INTERACTIVE):
        worker = fleet.new_worker(Lane.INTERACTIVE, EMOTIVOICE_ENGINE=ENGINE, **settings)
        ids = [fleet.api.submit(text) for text in texts]
        worker.process.start()
        yield worker, ids


def waiting(number: int) -> str:
    """A text that nobody has spoken yet, which waits at the gate."""
    return f"Please wait with number {number}, {uuid.uuid4().hex}."


def test_jobs_that_wait_are_spoken_in_one_batch(fleet: RunningFleet) -> None:
    with batching(fleet, [f"Number {number} is spoken." for number in range(8)]) as (worker, ids):
        jobs = [fleet.api.finished(job_id) for job_id in ids]

        assert all(is_right(fleet, job) for job in jobs)
        assert [(job["state"], job["attempts"]) for job in jobs] == [("succeeded", 1)] * 8
        assert metric(worker.url, "emotivoice_batch_size_sum") == 8
        assert metric(worker.url, "emotivoice_batch_size_count") <= 2
        wait_for(lambda: in_hand(worker) == 0)


@pytest.mark.parametrize("victim", ["child", "main"])
def test_a_worker_killed_with_a_batch_in_its_hand_costs_no_job(fleet: RunningFleet, victim: str) -> None:
    fleet.gate.close()
    with batching(fleet, [waiting(number) for number in range(TOGETHER)]) as (worker, ids):
        wait_for(lambda: in_hand(worker) == TOGETHER)
        assert [fleet.api.job(job_id)["state"] for job_id in ids] == ["running"] * TOGETHER

        if victim == "main":
            heir = fleet.new_worker(EMOTIVOICE_ENGINE=ENGINE)
            heir.process.start()
            worker.process.kill()
        else:
            (child,) = children(worker.process.pid)
            os.kill(child, signal.SIGKILL)
            wait_for(lambda: child not in children(worker.process.pid))
        fleet.gate.open()

        jobs = [fleet.api.finished(job_id) for job_id in ids]
    assert [(job["state"], job["attempts"]) for job in jobs] == [("succeeded", 2)] * TOGETHER
    assert all(is_right(fleet, job) for job in jobs)


def test_what_was_in_hand_when_a_child_died_is_spoken_one_by_one(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with batching(fleet, [waiting(number) for number in range(TOGETHER)]) as (worker, ids):
        wait_for(lambda: in_hand(worker) == TOGETHER)
        (child,) = children(worker.process.pid)
        os.kill(child, signal.SIGKILL)
        fleet.gate.open()
        for job_id in ids:
            fleet.api.finished(job_id)

        wait_for(lambda: metric(worker.url, "emotivoice_batch_size_count") == TOGETHER)
        assert metric(worker.url, "emotivoice_batch_size_sum") == TOGETHER


def outcomes(fleet: RunningFleet, ids: list[str]) -> list[tuple[str, str, int]]:
    jobs: list[Json] = [fleet.api.finished(job_id, seconds=60) for job_id in ids]
    return [(job["state"], job["error"]["code"] if job["error"] else "", job["attempts"]) for job in jobs]


@pytest.mark.parametrize(
    ("poison", "code"),
    [
        ("Please refuse this.", "engine_failed"),
        ("Please mumble this.", "unspeakable_text"),
        ("Please break this.", "internal_error"),
        ("Let it overflow.", "out_of_memory"),
        ("Let it exhaust us.", "out_of_memory"),
    ],
)
def test_one_poison_among_eight_fails_alone(fleet: RunningFleet, poison: str, code: str) -> None:
    texts = [f"Neighbour {number} of it: {poison[:8]}" for number in range(7)]
    with batching(fleet, [*texts[:4], poison, *texts[4:]]) as (worker, ids):
        ended = outcomes(fleet, ids)
        assert len(children(worker.process.pid)) == 1

    assert ended[4] == ("failed", code, 1)
    assert ended[:4] + ended[5:] == [("succeeded", "", 1)] * 7


@pytest.mark.parametrize("poison", ["Whoever reads this must die.", "Please unplug the GPU."])
def test_a_text_that_takes_its_child_down_takes_no_neighbour_along(fleet: RunningFleet, poison: str) -> None:
    texts = [f"Neighbour {number} of it: {poison[:6]}" for number in range(5)]
    with batching(fleet, [*texts[:3], poison, *texts[3:]]) as (_, ids):
        ended = outcomes(fleet, ids)

    neighbours = ended[:3] + ended[4:]
    assert ended[3] == ("failed", "worker_lost", 3)
    assert {(state, code) for state, code, _ in neighbours} == {("succeeded", "")}
    assert {attempts for *_, attempts in neighbours} <= {1, 2}  # 1: spoken before the poison had come from the queue


def test_a_text_that_hangs_is_timed_out_alone(fleet: RunningFleet) -> None:
    texts = ["Before it.", "Please hang for long.", "After it.", "And long after it."]
    with batching(fleet, texts, EMOTIVOICE_SEGMENT_LIMIT_SECONDS="2") as (_, ids):
        ended = outcomes(fleet, ids)

    assert ended[1] == ("failed", "timed_out", 2)
    assert ended[:1] + ended[2:] == [("succeeded", "", 2)] * 3


def test_a_draining_worker_finishes_its_batch_and_takes_no_more(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with batching(fleet, [waiting(number) for number in range(TOGETHER)]) as (worker, ids):
        wait_for(lambda: in_hand(worker) == TOGETHER)
        worker.process.terminate()
        wait_for(lambda: httpx.get(f"{worker.url}/readyz", trust_env=False).json()["draining"])
        queued = fleet.api.submit("This one is for the next worker.")
        fleet.gate.open()
        wait_for(lambda: not worker.process.running)

        assert worker.process.exit_code == 0
        assert outcomes(fleet, ids) == [("succeeded", "", 1)] * TOGETHER
        assert fleet.api.job(queued)["state"] == "queued"
    assert fleet.api.finished(queued)["state"] == "succeeded"


def test_a_cancelled_job_leaves_its_batch(fleet: RunningFleet) -> None:
    fleet.gate.close()
    long = "Please wait with this. " + "And then go on for long. " * 20
    with batching(fleet, [waiting(1), long, waiting(2)]) as (worker, ids):
        wait_for(lambda: in_hand(worker) == 3)
        fleet.api.http.delete(f"/v1/jobs/{ids[1]}")
        fleet.gate.open()

        assert [state for state, _, _ in outcomes(fleet, ids)] == ["succeeded", "cancelled", "succeeded"]
        wait_for(lambda: in_hand(worker) == 0)


def test_a_batch_in_hand_is_finished_over_a_restart_of_rabbitmq(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with batching(fleet, [waiting(number) for number in range(TOGETHER)]) as (worker, ids):
        wait_for(lambda: in_hand(worker) == TOGETHER)

        with stopped(fleet.servers.rabbitmq):
            fleet.gate.open()
            assert outcomes(fleet, ids) == [("succeeded", "", 1)] * TOGETHER

        wait_for(worker.process.ready)
        assert fleet.api.spoken("Spoken after the restart.")["attempts"] == 1
        wait_for(lambda: in_hand(worker) == 0)
    wait_for(lambda: fleet.ready)


def test_a_batch_that_could_not_be_stored_comes_again_later(fleet: RunningFleet) -> None:
    with batching(fleet, [waiting(number) for number in range(TOGETHER)]) as (worker, ids):
        with stopped(fleet.servers.s3):
            late = [fleet.api.submit(waiting(number)) for number in range(TOGETHER)]
            retries = 'emotivoice_step_retries_total{code="storage_unavailable"}'
            wait_for(lambda: metric(worker.url, retries) >= TOGETHER)

        assert [state for state, _, _ in outcomes(fleet, [*ids, *late])] == ["succeeded"] * 2 * TOGETHER
        assert {attempts for _, _, attempts in outcomes(fleet, late)} <= {2, 3}

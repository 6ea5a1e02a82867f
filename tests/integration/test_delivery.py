"""Whatever happens to a worker, a job that was accepted ends, once, with the right audio."""

import json
import os
import signal
from typing import Any

import httpx
import kombu
import pytest

from audio.encoding import decode
from shared.jobs import Lane
from tests.api import Json, children, metric
from tests.integration.conftest import RunningFleet, running_fleet
from tests.waiting import wait_for
from worker.bootsteps import LOAD_FAILED

pytestmark = pytest.mark.integration

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon."


def busy(url: str) -> bool:
    """Whether one of that worker's children is at work."""
    lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    return any(line.startswith("emotivoice_busy_children") and line.endswith(" 1.0") for line in lines)


def is_right(fleet: RunningFleet, job: Json) -> bool:
    """Whether the audio sounds as long as its record says, and has some length."""
    heard = decode(fleet.api.audio(job["id"]))
    return job["result"]["seconds"] > 0.5 and abs(heard.seconds - job["result"]["seconds"]) < 0.01


def test_a_job_goes_from_text_to_audio(fleet: RunningFleet) -> None:
    job = fleet.api.spoken("Hello there, this is a test.")

    assert job["attempts"] == 1
    assert is_right(fleet, job)


def test_a_worker_killed_at_work_does_not_cost_the_job(fleet: RunningFleet) -> None:
    worker = fleet.fleet.workers[Lane.INTERACTIVE]
    fleet.gate.close()
    job_id = fleet.api.submit("Please wait until you are killed.")
    wait_for(lambda: busy(fleet.worker_url(Lane.INTERACTIVE)))

    (child,) = children(worker.pid)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: child not in children(worker.pid))
    fleet.gate.open()

    job = fleet.api.finished(job_id)
    assert (job["state"], job["attempts"]) == ("succeeded", 2)
    assert is_right(fleet, job)


def test_the_whole_worker_killed_at_work_does_not_cost_the_job(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        doomed, heir = fleet.new_worker(), fleet.new_worker()
        doomed.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit("Please wait until the machine is gone.")
        wait_for(lambda: busy(doomed.url))
        heir.process.start()

        doomed.process.kill()
        fleet.gate.open()

        job = fleet.api.finished(job_id)
        heir.process.stop()
    assert (job["state"], job["attempts"]) == ("succeeded", 2)
    assert is_right(fleet, job)


def test_a_worker_asked_to_stop_finishes_its_job_and_takes_no_other(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving = fleet.new_worker()
        leaving.process.start()
        fleet.gate.close()
        in_hand = fleet.api.submit("Please wait, this one is in hand.")
        queued = fleet.api.submit("This one is for the next worker.")
        wait_for(lambda: busy(leaving.url))

        leaving.process.terminate()
        draining = wait_for(lambda: _draining(leaving.url))
        assert fleet.api.job(in_hand)["state"] == "running"
        fleet.gate.open()
        wait_for(lambda: not leaving.process.running)

        assert draining == {"ok": False, "consuming": False, "draining": True}
        assert leaving.process.exit_code == 0
        assert (fleet.api.job(in_hand)["state"], fleet.api.job(in_hand)["attempts"]) == ("succeeded", 1)
        assert fleet.api.job(queued)["state"] == "queued"
    assert fleet.api.finished(queued)["state"] == "succeeded"


def _draining(url: str) -> Json | None:
    answer = httpx.get(f"{url}/readyz", trust_env=False)
    return answer.json() if answer.status_code == 503 and not answer.json()["consuming"] else None


def test_an_idle_worker_asked_to_stop_is_gone_at_once(fleet: RunningFleet) -> None:
    worker = fleet.new_worker()
    worker.process.start()

    worker.process.terminate()

    wait_for(lambda: not worker.process.running, seconds=10)
    assert worker.process.exit_code == 0


def test_a_worker_whose_engine_does_not_load_gives_up_and_takes_no_message(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        job_id = fleet.api.submit("Nobody can speak this yet.")
        broken = fleet.new_worker(EMOTIVOICE_ENGINE="tests.engines:broken")
        broken.process.launch()
        wait_for(lambda: not broken.process.running)

        assert broken.process.exit_code == LOAD_FAILED
        assert "the model file is missing" in broken.process.log_tail(100)
        assert (fleet.api.job(job_id)["state"], fleet.api.job(job_id)["attempts"]) == ("queued", 0)
    assert fleet.api.finished(job_id)["attempts"] == 1


def test_a_worker_takes_no_message_before_its_engine_is_loaded(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        fleet.gate.close()
        loading, ready = fleet.new_worker(EMOTIVOICE_ENGINE="tests.engines:obedient_after_the_gate"), fleet.new_worker()
        loading.process.launch()
        wait_for(lambda: loading.process.running and _answers(f"{loading.url}/livez"))
        ready.process.start()

        jobs = [fleet.api.spoken(f"Take {number}: who is awake?") for number in range(3)]

        assert [job["attempts"] for job in jobs] == [1, 1, 1]
        assert httpx.get(f"{loading.url}/readyz", trust_env=False).status_code == 503
        ready.process.stop()
        fleet.gate.open()
        wait_for(loading.process.ready)
        assert fleet.api.spoken("Now it is awake.")["attempts"] == 1
        loading.process.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_text_that_kills_its_workers_is_given_up_and_its_neighbour_is_spoken(fleet: RunningFleet) -> None:
    poison = fleet.api.submit("Whoever reads this must die.")
    neighbour = fleet.api.submit("A harmless neighbour.")

    job = fleet.api.finished(poison)

    assert (job["state"], job["attempts"], job["error"]["code"]) == ("failed", 3, "worker_lost")
    assert fleet.api.finished(neighbour)["state"] == "succeeded"
    connection: Any
    with kombu.Connection(fleet.servers.environment()["EMOTIVOICE_BROKER_URL"]) as connection:
        wait_for(lambda: next_dead(connection.default_channel) == [poison, "0"])  # behind those of other tests


def next_dead(channel: Any) -> list[str] | None:
    """Take a message from the dead-letter queue; return job and step."""
    message = channel.basic_get("tts.dead", no_ack=True)
    return json.loads(message.body)[0] if message else None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Please refuse this.", "engine_failed"),
        ("Please mumble this.", "unspeakable_text"),
        ("Please break this.", "internal_error"),
    ],
)
def test_a_job_that_cannot_be_spoken_says_why(fleet: RunningFleet, text: str, code: str) -> None:
    job = fleet.api.finished(fleet.api.submit(text))

    assert (job["state"], job["error"]["code"], job["attempts"]) == ("failed", code, 1)


def test_a_running_job_that_is_cancelled_stops_at_its_next_utterance(fleet: RunningFleet) -> None:
    worker = fleet.worker_url(Lane.INTERACTIVE)
    stopped = 'emotivoice_steps_total{outcome="job_finished",step="segment"}'
    before = metric(worker, stopped)
    fleet.gate.close()
    job_id = fleet.api.submit("Please wait with this. " + "And then go on for long. " * 10)
    wait_for(lambda: busy(worker))

    answer = fleet.api.http.delete(f"/v1/jobs/{job_id}")
    fleet.gate.open()

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    wait_for(lambda: metric(worker, stopped) == before + 1)
    assert fleet.api.job(job_id)["result"] is None


def test_a_queued_job_that_is_cancelled_is_never_begun(fleet: RunningFleet) -> None:
    fleet.gate.close()
    first = fleet.api.submit("Please wait before the next.")
    wait_for(lambda: busy(fleet.worker_url(Lane.INTERACTIVE)))
    second = fleet.api.submit("Nobody will hear this.")
    fleet.api.http.delete(f"/v1/jobs/{second}")
    fleet.gate.open()

    assert fleet.api.finished(first)["state"] == "succeeded"
    fleet.api.spoken("Somebody will hear this.")
    job = fleet.api.job(second)
    assert (job["state"], job["attempts"], job["started_at"]) == ("cancelled", 0, None)


def test_the_segments_of_a_long_job_are_spoken_side_by_side(fleet: RunningFleet) -> None:
    other = fleet.new_worker(Lane.BULK)
    other.process.start()
    fleet.gate.close()
    job_id = fleet.api.submit("\n\n".join(f"Part {n}, please wait. {SENTENCE * 6}" for n in range(4)), lane="bulk")

    wait_for(lambda: busy(other.url) and busy(fleet.worker_url(Lane.BULK)))
    fleet.gate.open()

    job = fleet.api.finished(job_id)
    other.process.stop()
    assert job["state"] == "succeeded"
    assert job["progress"] == {"segments_done": 4, "segments_total": 4}
    assert is_right(fleet, job)


def test_a_worker_killed_in_the_middle_of_a_long_job_costs_no_segment(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit("\n\n".join(f"Part {n}, please wait here. {SENTENCE * 6}" for n in range(3)), lane="bulk")
    wait_for(lambda: busy(fleet.worker_url(Lane.BULK)))

    (child,) = children(fleet.fleet.workers[Lane.BULK].pid)
    os.kill(child, signal.SIGKILL)
    fleet.gate.open()

    job = fleet.api.finished(job_id)
    assert (job["state"], job["attempts"]) == ("succeeded", 2)
    assert is_right(fleet, job)


def test_the_same_job_again_costs_no_engine_time(fleet: RunningFleet) -> None:
    hits = "emotivoice_cache_hits_total"
    first = fleet.api.spoken("This has been said before.")
    before = metric(fleet.worker_url(Lane.INTERACTIVE), hits)

    second = fleet.api.spoken("This has been said before.")

    assert second["usage"]["engine_seconds"] == 0 < first["usage"]["engine_seconds"]
    assert second["result"]["sha256"] == first["result"]["sha256"]
    assert metric(fleet.worker_url(Lane.INTERACTIVE), hits) == before + 1


def test_a_broker_over_redis_works_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where RabbitMQ is not installed."""
    with running_fleet(tmp_path_factory.mktemp("over redis"), rabbitmq=False) as fleet:
        assert fleet.api.spoken("Hello over Redis.")["attempts"] == 1
        long = fleet.api.spoken("\n\n".join([SENTENCE * 6] * 3), lane="bulk")
        assert long["progress"]["segments_done"] == 3

"""A server that goes away is told to the client at once; when it is back, everything goes on without a restart."""

import time
from collections.abc import Callable

import pytest

from shared.jobs import Lane
from tests.api import metric
from tests.integration.conftest import RunningFleet, refused, stopped
from tests.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nobody_restarted")]


def unready(fleet: RunningFleet) -> Callable[[], str]:
    """Return a function that names the dependencies that the gateway misses."""

    def missing() -> str:
        checks: dict[str, str] = fleet.api.http.get("/readyz").json()["checks"]
        return " ".join(name for name, state in checks.items() if state != "ok")

    return missing


def test_without_rabbitmq_nothing_is_accepted(fleet: RunningFleet) -> None:
    known = fleet.api.submit("Said before the outage.")
    fleet.api.finished(known)
    key = f"key-{time.time_ns()}"

    with stopped(fleet.servers.rabbitmq):
        assert refused(fleet, **{"Idempotency-Key": key})["code"] == "queue_unavailable"
        assert wait_for(unready(fleet)) == "broker"
        assert fleet.api.job(known)["state"] == "succeeded"  # what is known can still be looked at
        assert fleet.api.audio(known)

    wait_for(lambda: fleet.api.http.get("/readyz").status_code == 200)
    again = fleet.api.http.post("/v1/jobs", json={"text": "Hello?"}, headers={"Idempotency-Key": key})
    assert again.status_code == 202  # the refused request did not use up its key
    assert fleet.api.finished(again.json()["id"])["state"] == "succeeded"


def test_a_job_in_hand_is_finished_once_over_a_restart_of_rabbitmq(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait for the broker, {time.time_ns()}.")
    fleet.api.running(job_id)

    with stopped(fleet.servers.rabbitmq):
        fleet.gate.open()
        job = fleet.api.finished(job_id)

    assert (job["state"], job["attempts"]) == ("succeeded", 1)


def test_jobs_wait_in_rabbitmq_over_its_restart(fleet: RunningFleet) -> None:
    fleet.gate.close()
    jobs = [fleet.api.submit(f"Please wait over the restart, number {number}.") for number in range(5)]
    fleet.api.running(jobs[0])

    with stopped(fleet.servers.rabbitmq):
        pass
    fleet.gate.open()

    assert {fleet.api.finished(job_id)["state"] for job_id in jobs} == {"succeeded"}


def test_without_redis_nothing_is_accepted(fleet: RunningFleet) -> None:
    known = fleet.api.submit("Said before the outage of Redis.")
    fleet.api.finished(known)

    with stopped(fleet.servers.redis):
        assert refused(fleet)["code"] == "store_unavailable"
        assert fleet.api.http.get(f"/v1/jobs/{known}").json()["code"] == "store_unavailable"
        assert "redis" in wait_for(unready(fleet))
        assert fleet.api.http.get("/healthz").status_code == 200

    assert fleet.api.job(known)["state"] == "succeeded"


def test_a_job_in_hand_is_finished_once_redis_is_back(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait for the records, {time.time_ns()}.")
    fleet.api.running(job_id)

    with stopped(fleet.servers.redis):
        fleet.gate.open()

    job = fleet.api.finished(job_id)
    assert (job["state"], job["attempts"]) == ("succeeded", 1)


def test_a_job_is_finished_once_the_object_store_is_back(fleet: RunningFleet) -> None:
    worker, retries = fleet.worker_url(Lane.INTERACTIVE), 'emotivoice_step_retries_total{code="storage_unavailable"}'
    before = metric(worker, retries)
    with stopped(fleet.servers.s3):
        job_id = fleet.api.submit(f"There is no shelf for this yet, {time.time_ns()}.")
        wait_for(lambda: metric(worker, retries) == before + 1)
        assert "s3" in wait_for(unready(fleet))

    job = fleet.api.finished(job_id)
    assert (job["state"], job["attempts"]) == ("succeeded", 2)
    assert fleet.api.audio(job_id)


def test_audio_that_cannot_be_fetched_is_told(fleet: RunningFleet) -> None:
    job_id = fleet.api.submit("Fetched while the object store is away.")
    fleet.api.finished(job_id)

    with stopped(fleet.servers.s3):
        answer = fleet.api.http.get(f"/v1/jobs/{job_id}/audio")

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert fleet.api.audio(job_id)

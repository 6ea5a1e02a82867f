"""What can be seen of a running fleet: its metrics and its logs."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.jobs import Lane
from tests.api import Json, metric
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

PHASES = ("import", "load", "warm_up", "ready", "first_step")


def our_logs(fleet: RunningFleet) -> list[Path]:
    return [path for path in fleet.logs.iterdir() if path.name.startswith(("gateway", "worker"))]


def lines(fleet: RunningFleet, name: str) -> Iterator[Json]:
    return (json.loads(line) for line in (fleet.logs / f"{name}.log").read_text().splitlines())


def test_the_gateway_counts_the_jobs_it_accepts(fleet: RunningFleet) -> None:
    submitted = 'emotivoice_jobs_submitted_total{lane="interactive",tenant="default"}'
    requests = 'emotivoice_http_requests_total{method="POST",route="/v1/jobs",status="202"}'
    before = metric(fleet.fleet.url, submitted), metric(fleet.fleet.url, requests)

    fleet.api.spoken("Counted by the gateway.")
    fleet.api.post("")

    assert (metric(fleet.fleet.url, submitted), metric(fleet.fleet.url, requests)) == (before[0] + 1, before[1] + 1)


def test_the_gateway_shows_what_waits(fleet: RunningFleet) -> None:
    waiting = 'emotivoice_lane_waiting{lane="interactive"}'
    with fleet.without_worker(Lane.INTERACTIVE):
        jobs = [fleet.api.submit(f"Waiting to be counted, {number}.") for number in range(2)]

        assert metric(fleet.fleet.url, waiting) == 2

    for job_id in jobs:
        fleet.api.finished(job_id)
    assert metric(fleet.fleet.url, waiting) == 0


def test_a_worker_counts_what_it_speaks(fleet: RunningFleet) -> None:
    url, done = fleet.worker_url(Lane.INTERACTIVE), 'emotivoice_steps_total{outcome="done",step="segment"}'
    before = metric(url, done), metric(url, "emotivoice_audio_seconds_total")

    seconds = sum(fleet.api.spoken(f"Counted by the worker, {uuid.uuid4()}.")["result"]["seconds"] for _ in range(2))

    wait_for(lambda: metric(url, done) == before[0] + 2)
    assert metric(url, "emotivoice_audio_seconds_total") == pytest.approx(before[1] + seconds, abs=0.01)


def test_a_worker_tells_how_long_it_took_to_be_ready(fleet: RunningFleet) -> None:
    url = fleet.worker_url(Lane.INTERACTIVE)

    fleet.api.spoken("The first step of a worker, at the latest.")

    def seconds(phase: str) -> float:
        return metric(url, f'emotivoice_start_seconds_sum{{phase="{phase}"}}')

    assert all(metric(url, f'emotivoice_start_seconds_count{{phase="{phase}"}}') for phase in PHASES)
    assert 0 < seconds("import") < seconds("ready") < wait_for(lambda: seconds("first_step")) < 180
    assert 0 < seconds("load") < seconds("ready")
    assert metric(url, "emotivoice_cold_starts_total") >= 1
    assert "# TYPE emotivoice_engine_seconds histogram" in httpx.get(f"{url}/metrics", trust_env=False).text


def test_every_log_line_is_json_and_names_its_job(fleet: RunningFleet) -> None:
    job_id = fleet.api.spoken(f"Logged, but not its text, {uuid.uuid4()}.")["id"]

    def told() -> list[Json]:
        return [line for line in lines(fleet, "worker-interactive") if line.get("job_id") == job_id]

    assert wait_for(told)[-1]["outcome"] == "done"
    for path in our_logs(fleet):
        for line in path.read_text().splitlines():
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys(), path


def test_each_job_has_one_audit_line_wherever_it_ended(fleet: RunningFleet) -> None:
    spoken = fleet.api.spoken(f"To be audited, {uuid.uuid4()}.")["id"]
    failed = fleet.api.finished(fleet.api.submit(f"To be audited, {uuid.uuid4()}. Please refuse this."))["id"]
    with fleet.without_worker(Lane.INTERACTIVE):
        cancelled = fleet.api.submit("Never to be heard.")
        fleet.api.http.delete(f"/v1/jobs/{cancelled}")

    def audited() -> dict[str, tuple[str, str]]:
        told = [line for path in our_logs(fleet) for line in lines(fleet, path.stem) if line["message"] == "job ended"]
        return {line["job_id"]: (line["state"], line["tenant"]) for line in told}

    ours = {spoken: ("succeeded", "default"), failed: ("failed", "default"), cancelled: ("cancelled", "default")}
    wait_for(lambda: ours.items() <= audited().items())


@pytest.mark.parametrize("ending", ["", " Please refuse this.", " Please mumble this.", " Please break this."])
def test_no_log_has_the_text_of_a_job(fleet: RunningFleet, ending: str) -> None:
    marker = f"zebra{uuid.uuid4().hex}"

    fleet.api.finished(fleet.api.submit(f"The word is {marker}.{ending}"))
    fleet.api.finished(fleet.api.submit(f"The word is {marker}. " * 60 + ending, lane="bulk"))
    fleet.api.post(f"The word is {marker}.", voice="nobody")
    fleet.api.http.post("/v1/jobs", content=f'{{"text": "{marker}"'.encode())

    assert not [path for path in fleet.logs.iterdir() if marker in path.read_text(errors="replace")]


def test_the_metrics_of_children_that_died_are_not_kept(fleet: RunningFleet) -> None:
    assert fleet.api.finished(fleet.api.submit("All three must die."))["error"]["code"] == "worker_lost"
    fleet.api.spoken("And somebody survives.")

    wait_for(lambda: metric(fleet.worker_url(Lane.INTERACTIVE), "emotivoice_busy_children") == 0)

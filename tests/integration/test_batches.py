"""Batches on the real stack: lines in, audio out, whatever becomes of the worker that reads them."""

import hashlib
import io
import json
import os
import signal
import uuid
import zipfile
from typing import Any, cast

import pytest
import redis

from shared.jobs import Lane
from tests.api import Json, children
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

OVER = {"succeeded", "partly_failed", "failed", "cancelled"}
OPTIONS = {"template": "Dear {name}, happy new year!", "defaults": {"format": "flac"}}


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def send(fleet: RunningFleet, body: bytes, **headers: str) -> Json:
    kind = {"Content-Type": "application/jsonl"}
    answer = fleet.api.http.post("/v1/batches", content=body, headers={**kind, **headers})
    assert answer.status_code == 202, answer.text
    return answer.json()


def look(fleet: RunningFleet, batch_id: str) -> Json:
    return fleet.api.http.get(f"/v1/batches/{batch_id}").json()


def over(fleet: RunningFleet, batch_id: str, *, seconds: float = 60) -> Json:
    wait_for(lambda: look(fleet, batch_id)["state"] in OVER, seconds=seconds)
    return look(fleet, batch_id)


def results(fleet: RunningFleet, batch_id: str) -> list[Json]:
    return [json.loads(line) for line in fleet.api.http.get(f"/v1/batches/{batch_id}/manifest").text.splitlines()]


def greeting(number: int, mark: str) -> Json:
    return {"custom_id": f"g{number}", "variables": {"name": f"number {number} of {mark}"}}


def test_lines_become_audio_and_bad_ones_are_reported_by_their_number(fleet: RunningFleet) -> None:
    mark = uuid.uuid4().hex
    lines: list[Any] = [greeting(number, mark) for number in range(10)]
    lines[3] = {"custom_id": "bad", "variables": {"nome": "x"}}
    batch_id = send(fleet, jsonl({"batch": OPTIONS}, *lines))["id"]

    shown = over(fleet, batch_id)
    assert (shown["state"], shown["progress"]["errors"]) == ("partly_failed", 1)
    assert shown["progress"]["jobs"]["succeeded"] == 9
    errors = fleet.api.http.get(f"/v1/batches/{batch_id}/errors").text.splitlines()
    assert [(one["line"], one["custom_id"], one["code"]) for one in map(json.loads, errors)] == [
        (5, "bad", "missing_variable")
    ]
    answer = fleet.api.http.get(f"/v1/batches/{batch_id}/audio.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        manifest = [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()]
        spoken = [line for line in manifest if line["file"]]
        assert [hashlib.sha256(archive.read(line["file"])).hexdigest() for line in spoken] == [
            line["sha256"] for line in spoken
        ]
    assert [line["line"] for line in manifest] == list(range(2, 12))
    assert fleet.api.http.get("/v1/jobs", params={"limit": 100}).text.count(spoken[0]["job_id"]) == 0


def test_a_worker_that_is_killed_while_it_reads_makes_nothing_twice(fleet: RunningFleet) -> None:
    mark, count = uuid.uuid4().hex, 3000
    fleet.gate.close()  # nothing is spoken meanwhile
    with fleet.without_worker(Lane.ASSEMBLY):
        worker = fleet.new_worker(Lane.ASSEMBLY)
        worker.process.start()
        body = jsonl({"batch": OPTIONS}, *(greeting(number, mark) for number in range(count)))
        batch_id = send(fleet, body)["id"]
        wait_for(lambda: 0 < look(fleet, batch_id)["progress"]["lines_read"] < count)
        worker.process.kill()
        killed_at = look(fleet, batch_id)["progress"]["lines_read"]
        assert 0 < killed_at < count
        assert look(fleet, batch_id)["state"] == "ingesting"
        fresh = fleet.new_worker(Lane.ASSEMBLY)
        fresh.process.start()
        wait_for(lambda: look(fleet, batch_id)["state"] == "running", seconds=60)

    shown = look(fleet, batch_id)
    assert shown["progress"]["lines_read"] == count + 1
    assert sum(shown["progress"]["jobs"].values()) == count
    assert {line["line"] for line in results(fleet, batch_id)} == set(range(2, count + 2))
    assert fleet.api.http.post(f"/v1/batches/{batch_id}/cancel").status_code == 202
    wait_for(lambda: look(fleet, batch_id)["progress"]["jobs"]["queued"] == 0, seconds=60)
    assert fleet.api.http.delete(f"/v1/batches/{batch_id}").status_code == 204


def test_a_child_that_is_killed_while_it_reads_is_followed_by_another(fleet: RunningFleet) -> None:
    mark, count = uuid.uuid4().hex, 2000
    with fleet.without_worker(Lane.ASSEMBLY), fleet.without_worker(Lane.BULK):
        worker = fleet.new_worker(Lane.ASSEMBLY)
        worker.process.start()
        batch_id = send(fleet, jsonl({"batch": OPTIONS}, *(greeting(number, mark) for number in range(count))))["id"]
        wait_for(lambda: 0 < look(fleet, batch_id)["progress"]["lines_read"] < count)
        for child in children(worker.process.pid or 0):
            os.kill(child, signal.SIGKILL)
        wait_for(lambda: look(fleet, batch_id)["state"] == "running", seconds=60)

    assert sum(look(fleet, batch_id)["progress"]["jobs"].values()) == count
    assert fleet.api.http.delete(f"/v1/batches/{batch_id}").status_code == 204


def test_cancel_then_retry_speaks_the_rest(fleet: RunningFleet) -> None:
    mark = uuid.uuid4().hex
    with fleet.without_worker(Lane.BULK):
        batch_id = send(fleet, jsonl({"batch": OPTIONS}, *(greeting(number, mark) for number in range(20))))["id"]
        wait_for(lambda: look(fleet, batch_id)["state"] == "running")
        fleet.api.http.post(f"/v1/batches/{batch_id}/cancel")
        wait_for(lambda: look(fleet, batch_id)["progress"]["jobs"]["cancelled"] == 20)
        assert look(fleet, batch_id)["state"] == "cancelled"
    assert fleet.api.http.post(f"/v1/batches/{batch_id}/retry").status_code == 202

    assert over(fleet, batch_id)["state"] == "succeeded"
    assert {line["state"] for line in results(fleet, batch_id)} == {"succeeded"}


def test_a_big_batch_does_not_delay_its_tenant_s_single_job(fleet: RunningFleet) -> None:
    """The window of the bulk lane is 320: without flows the job would be behind 5,000 lines."""
    mark = uuid.uuid4().hex
    batch_id = send(fleet, jsonl({"batch": OPTIONS}, *(greeting(number, mark) for number in range(5000))))["id"]
    wait_for(lambda: look(fleet, batch_id)["progress"]["lines_read"] > 1000, seconds=60)

    job = fleet.api.finished(fleet.api.submit(f"A single job, {mark}.", lane="bulk"), seconds=60)

    left = look(fleet, batch_id)["progress"]
    assert job["state"] == "succeeded"
    assert left["jobs"]["queued"] + 5001 - left["lines_read"] > 1000
    assert fleet.api.http.delete(f"/v1/batches/{batch_id}").status_code == 204


def test_a_key_makes_one_batch_of_one_file(fleet: RunningFleet) -> None:
    body, key = jsonl({"text": f"Once, {uuid.uuid4().hex}."}), uuid.uuid4().hex
    first, again = (send(fleet, body, **{"Idempotency-Key": key}) for _ in range(2))
    other = fleet.api.http.post(
        "/v1/batches", content=body + b"\n", headers={"Content-Type": "application/jsonl", "Idempotency-Key": key}
    )

    assert again["id"] == first["id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert fleet.api.http.delete(f"/v1/batches/{first['id']}").status_code == 204
    assert send(fleet, body, **{"Idempotency-Key": key})["id"] != first["id"]


def test_events_tell_each_job_and_end_with_the_batch(fleet: RunningFleet) -> None:
    batch_id = send(fleet, jsonl(*({"text": f"Heard {number}, {uuid.uuid4().hex}."} for number in range(3))))["id"]

    with fleet.api.http.stream("GET", f"/v1/batches/{batch_id}/events") as events:
        names = [line.partition(": ")[2] for line in events.iter_lines() if line.startswith("event: ")]

    assert names.count("job.succeeded") == 3
    assert names[-1] == "batch.succeeded"


def test_a_deleted_batch_leaves_nothing_behind(fleet: RunningFleet, settings: Any) -> None:
    client: Any = cast(Any, redis.Redis).from_url(settings.redis_url.get_secret_value(), decode_responses=True)
    batch_id = send(fleet, jsonl({"text": f"Gone soon, {uuid.uuid4().hex}."}, {"text": ""}))["id"]
    job_id = over(fleet, batch_id) and results(fleet, batch_id)[0]["job_id"]
    assert fleet.api.http.delete(f"/v1/batches/{batch_id}").status_code == 204
    assert fleet.api.http.get(f"/v1/batches/{batch_id}").status_code == 404

    def left() -> list[str]:
        return [*client.scan_iter(f"*{batch_id}*", count=10_000), *client.scan_iter(f"*{job_id}*", count=10_000)]

    wait_for(lambda: not left(), seconds=60)
    assert batch_id not in client.zrange("batches", 0, -1)

"""Batches on the real stack: lines in, audio out, whatever becomes of the worker that reads them."""

import asyncio
import hashlib
import io
import json
import os
import signal
import time
import uuid
import zipfile
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, cast

import pytest
import redis
import uuid_utils

from shared import records
from shared.batch_store import BEGINNING, AsyncRedisBatches, batches_key
from shared.batches import Batch, Terms, Wanted
from shared.jobs import NO_TENANT, Lane
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings
from sweeper.batches import BEGINNING_SECONDS
from tests.api import Json, children
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

T = TypeVar("T")

JSON_LINES = {"Content-Type": "application/jsonl"}
OVER = {"succeeded", "partly_failed", "failed", "cancelled"}
OPTIONS = {"template": "Dear {name}, happy new year!", "defaults": {"format": "flac"}}


@pytest.fixture
def settings(fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch) -> SharedSettings:
    """How to reach the fleet's own servers."""
    for name, value in fleet.servers.environment().items():
        monkeypatch.setenv(name, value)
    return SharedSettings()


@pytest.fixture
def stored(settings: SharedSettings) -> Any:
    """What Redis has."""
    return cast(Any, redis.Redis).from_url(settings.redis_url.get_secret_value(), decode_responses=True)


async def on_batches(settings: SharedSettings, do: Callable[[AsyncRedisBatches], Awaitable[T]]) -> T:
    """Do something with the records of batches, as a gateway does."""
    batches = AsyncRedisBatches(settings.redis_url.get_secret_value())
    try:
        return await do(batches)
    finally:
        await batches.close()


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def send(fleet: RunningFleet, body: bytes, **headers: str) -> Json:
    answer = fleet.api.http.post("/v1/batches", content=body, headers={**JSON_LINES, **headers})
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


def test_a_retry_tries_again_what_the_quota_allows_and_the_rest_another_time(fleet: RunningFleet, stored: Any) -> None:
    mark = uuid.uuid4().hex
    wait_for(lambda: not int(stored.get(records.open_lines_key(NO_TENANT)) or 0), seconds=60)  # of other tests
    with fleet.without_worker(Lane.BULK):
        batch_id = send(fleet, jsonl({"batch": OPTIONS}, *(greeting(number, mark) for number in range(8))))["id"]
        wait_for(lambda: look(fleet, batch_id)["progress"]["jobs"]["queued"] == 8)
        fleet.api.http.post(f"/v1/batches/{batch_id}/cancel")
        wait_for(lambda: look(fleet, batch_id)["state"] == "cancelled")
        with fleet.limits(open_lines=5):
            fleet.api.http.post(f"/v1/batches/{batch_id}/retry")
            wait_for(lambda: look(fleet, batch_id)["state"] == "running")
            shown = look(fleet, batch_id)["progress"]
            refused = fleet.api.http.post("/v1/batches", content=jsonl({"text": "One more."}), headers=JSON_LINES)

    errors = fleet.api.http.get(f"/v1/batches/{batch_id}/errors").text.splitlines()
    assert (shown["jobs"]["queued"], shown["jobs"]["cancelled"]) == (5, 3)
    assert (refused.status_code, refused.json()["code"], refused.json()["used"]) == (429, "quota_exceeded", 5)
    assert [json.loads(one)["code"] for one in errors] == ["quota_exceeded"] * 3
    over(fleet, batch_id)
    assert fleet.api.http.post(f"/v1/batches/{batch_id}/retry").status_code == 202
    assert over(fleet, batch_id)["state"] == "succeeded"


def a_minute_passes(stored: Any, batch_id: str) -> None:
    """Let it be a minute ago that the batch's pass was recorded, whose gateway has died."""
    assert stored.zadd(BEGINNING, {batch_id: time.time() - 2 * BEGINNING_SECONDS}, xx=True, ch=True) == 1


def test_the_sweeper_begins_a_pass_whose_gateway_died_before_it_enqueued_it(
    fleet: RunningFleet, settings: SharedSettings, stored: Any
) -> None:
    body = jsonl(*({"text": f"Left behind {number}, {uuid.uuid4().hex}."} for number in range(3)))
    terms = Terms(longest_text=1000, default_voice="hum")
    batch = Batch(
        str(uuid_utils.uuid7()), NO_TENANT, time.time(), len(body), hashlib.sha256(body).hexdigest(), 3, terms
    )
    S3ObjectStore(settings).put(batch.source_key, io.BytesIO(body), length=len(body), content_type="text/plain")
    asyncio.run(on_batches(settings, lambda batches: batches.create(batch, key="", fingerprint="")))
    assert look(fleet, batch.id)["state"] == "ingesting"

    a_minute_passes(stored, batch.id)

    assert over(fleet, batch.id)["state"] == "succeeded"
    assert not stored.zscore(BEGINNING, batch.id)


def test_the_sweeper_begins_a_retry_whose_gateway_died(
    fleet: RunningFleet, settings: SharedSettings, stored: Any
) -> None:
    with fleet.without_worker(Lane.BULK):
        batch_id = send(fleet, jsonl({"text": f"Tried again, {uuid.uuid4().hex}."}))["id"]
        wait_for(lambda: look(fleet, batch_id)["progress"]["jobs"]["queued"] == 1)
        fleet.api.http.post(f"/v1/batches/{batch_id}/cancel")
        wait_for(lambda: look(fleet, batch_id)["state"] == "cancelled")

    again = partial(Batch.again, wanted=Wanted.SPEAK)
    asyncio.run(on_batches(settings, lambda batches: batches.change(batch_id, again, garbage=lambda _: ())))
    assert look(fleet, batch_id)["state"] == "ingesting"
    a_minute_passes(stored, batch_id)

    assert over(fleet, batch_id)["state"] == "succeeded"


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


def test_a_deleted_batch_leaves_nothing_behind(fleet: RunningFleet, stored: Any) -> None:
    batch_id = send(fleet, jsonl({"text": f"Gone soon, {uuid.uuid4().hex}."}, {"text": ""}))["id"]
    job_id = over(fleet, batch_id) and results(fleet, batch_id)[0]["job_id"]
    assert fleet.api.http.delete(f"/v1/batches/{batch_id}").status_code == 204
    assert fleet.api.http.get(f"/v1/batches/{batch_id}").status_code == 404

    def left() -> list[str]:
        return [*stored.scan_iter(f"*{batch_id}*", count=10_000), *stored.scan_iter(f"*{job_id}*", count=10_000)]

    wait_for(lambda: not left(), seconds=240, every=1)  # those that other tests have deleted go before it
    assert batch_id not in stored.zrange(batches_key(NO_TENANT), 0, -1)

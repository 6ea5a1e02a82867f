"""Webhooks of a real fleet: what arrives at a real receiver, however the job ended and whoever was killed."""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any, cast

import pytest
import redis
from openai import OpenAI

from shared import records
from shared.async_job_store import AsyncRedisJobStore
from shared.jobs import Lane
from tests.api import Api, Json, children
from tests.integration.conftest import RunningFleet, running_fleet
from tests.receiving import Server, fine, serving
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

SETTINGS = {
    "EMOTIVOICE_OUTBOUND_HTTP": "true",
    "EMOTIVOICE_OUTBOUND_PRIVATE": "127.0.0.0/8",
    "EMOTIVOICE_WEBHOOK_RETRY_SECONDS": "0.5 0.5 0.5 600",
    "EMOTIVOICE_WEBHOOK_SECONDS": "2",
    "EMOTIVOICE_WEBHOOK_DISABLE_DAYS": "1e-5",  # a second
    "EMOTIVOICE_WEBHOOK_RELAY_SECONDS": "0.2",
    "EMOTIVOICE_TENANT_HEADER": "X-Tenant",
}
_numbers = count(1)


@pytest.fixture(scope="module")
def patient_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """A fleet that may reach this machine, and is not patient at all."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        with running_fleet(tmp_path_factory.mktemp("fleet")) as running:
            yield running


@pytest.fixture
def fleet(patient_fleet: RunningFleet) -> Iterator[RunningFleet]:
    """Within a test the client is a tenant of its own."""
    patient_fleet.gate.open()
    patient_fleet.api.http.headers["X-Tenant"] = f"tenant-{next(_numbers)}"
    yield patient_fleet
    patient_fleet.gate.open()


@pytest.fixture
def store(fleet: RunningFleet) -> Any:
    url = fleet.servers.environment()["EMOTIVOICE_REDIS_URL"]
    return cast(Any, redis.Redis).from_url(url, decode_responses=True)  # the library leaves much untyped


@contextmanager
def receiving(answer: Callable[[BaseHTTPRequestHandler], None] = fine) -> Generator[tuple[Server, str]]:
    with serving(answer) as server:
        yield server, f"http://127.0.0.1:{server.server_port}/hook"


def statuses(*codes: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with these one after the other, and go on with the last."""
    left = list(codes)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(left.pop(0) if len(left) > 1 else left[0])
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def created(api: Api, url: str, **fields: object) -> Json:
    answer = api.http.post("/v1/webhooks", json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def deliveries(api: Api, hook_id: str) -> list[Json]:
    return api.http.get(f"/v1/webhooks/{hook_id}/deliveries").json()["deliveries"]


def arrived(server: Server, *, requests: int = 1) -> list[tuple[Json, dict[str, str], bytes]]:
    """Return payload, headers and body of each request, once there are so many."""
    wait_for(lambda: len(server.requests) >= requests, seconds=20)
    return [(json.loads(body), headers, body) for _, _, headers, body in server.requests]


def verified(body: bytes, headers: dict[str, str], secret: str) -> None:
    OpenAI(api_key="none").webhooks.verify_signature(body.decode(), headers, secret=secret)


def test_a_tenant_is_told_of_a_job_as_the_api_shows_it(fleet: RunningFleet) -> None:
    text = f"Nobody else is to read this, {uuid.uuid4()}."
    with receiving() as (server, url):
        hook = created(fleet.api, url)
        job = fleet.api.spoken(text, metadata={"book": "四十二"})
        ((payload, headers, body),) = arrived(server)
        wait_for(lambda: deliveries(fleet.api, hook["id"])[0]["state"] == "succeeded")

    verified(body, headers, hook["secret"])
    job["result"] |= {"url": None, "url_expires_at": None}
    assert payload == {"type": "job.succeeded", "timestamp": payload["timestamp"], "data": job}
    assert text not in body.decode()
    (delivery,) = deliveries(fleet.api, hook["id"])
    assert (delivery["id"], delivery["job_id"]) == (headers["webhook-id"], job["id"])
    assert [one["status"] for one in delivery["attempts"]] == [200]


def test_a_job_of_another_tenant_is_none_of_its_business(fleet: RunningFleet, store: Any) -> None:
    with receiving() as (server, url):
        hook = created(fleet.api, url)
        mine = fleet.api.http.headers["X-Tenant"]
        fleet.api.http.headers["X-Tenant"] = "somebody-else"
        job_id = fleet.api.spoken(f"Not yours, {uuid.uuid4()}.")["id"]
        seen = fleet.api.http.get(f"/v1/webhooks/{hook['id']}")
        fleet.api.http.headers["X-Tenant"] = mine
        own = fleet.api.spoken(f"Yours, {uuid.uuid4()}.")["id"]
        told = [payload["data"]["id"] for payload, _, _ in arrived(server)]

    assert told == [own]
    assert seen.status_code == 404
    assert not [key for key in store.scan_iter("webhook_*") if job_id in key]  # nothing is left where nobody listens


def test_a_job_s_own_url_is_told_what_it_asks_for(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with receiving() as (server, url):
        secret = fleet.api.http.post("/v1/webhooks/jobs/secret").json()["secret"]
        own: dict[str, Any] = {"webhook_url": url, "webhook_events": ["job.cancelled", "job.failed"]}
        cancelled = fleet.api.submit(f"Please wait, {uuid.uuid4()}.", **own)
        fleet.api.http.delete(f"/v1/jobs/{cancelled}")
        fleet.gate.open()
        fleet.api.spoken(f"Fine, {uuid.uuid4()}.", **own)
        failed = fleet.api.finished(fleet.api.submit(f"Please refuse, {uuid.uuid4()}.", **own))
        told = arrived(server, requests=2)
        assert len(deliveries(fleet.api, "jobs")) == 2

    assert {payload["type"]: payload["data"]["id"] for payload, _, _ in told} == {
        "job.cancelled": cancelled,
        "job.failed": failed["id"],
    }
    assert {payload["data"]["error"] and payload["data"]["error"]["code"] for payload, _, _ in told} == {
        None,
        "engine_failed",
    }
    for _, headers, body in told:
        verified(body, headers, secret)


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(fleet: RunningFleet) -> None:
    with receiving(statuses(500, 503, 200)) as (server, url):
        hook = created(fleet.api, url)
        fleet.api.spoken(f"Say it again, {uuid.uuid4()}.")
        told = arrived(server, requests=3)
        wait_for(lambda: deliveries(fleet.api, hook["id"])[0]["state"] == "succeeded")

    assert len({headers["webhook-id"] for _, headers, _ in told}) == 1
    assert len({body for _, _, body in told}) == 1
    for _, headers, body in told:
        verified(body, headers, hook["secret"])
    (delivery,) = deliveries(fleet.api, hook["id"])
    assert [one["status"] for one in delivery["attempts"]] == [500, 503, 200]
    assert fleet.api.http.get(f"/v1/webhooks/{hook['id']}").json()["failing_since"] is None


def test_a_receiver_that_is_away_for_long_is_disabled_until_it_is_enabled(fleet: RunningFleet, store: Any) -> None:
    with receiving(statuses(500)) as (server, url):
        hook = created(fleet.api, url)
        path = f"/v1/webhooks/{hook['id']}"
        fleet.api.spoken(f"Nobody takes this, {uuid.uuid4()}.")
        wait_for(lambda: fleet.api.http.get(path).json()["state"] == "disabled")
        seen = fleet.api.http.get(path).json()
        (delivery,) = deliveries(fleet.api, hook["id"])
        tries = len(server.requests)
        unheard = fleet.api.spoken(f"Nobody is told this, {uuid.uuid4()}.")["id"]
        wait_for(lambda: not [name for name in store.zrange("webhook_due", 0, -1) if unheard in name])
        server.answer = fine
        enabled = fleet.api.http.patch(path, json={"enabled": True}).json()
        fleet.api.http.post(f"{path}/deliveries/{delivery['id']}/redeliver")
        *_, (payload, headers, _) = arrived(server, requests=tries + 1)

    assert "the latest time it answered 500" in seen["disabled_reason"]
    assert seen["failing_since"] is not None
    assert enabled["state"] == "enabled"
    assert len(server.requests) == tries + 1
    assert (payload["type"], headers["webhook-id"]) == ("job.succeeded", delivery["id"])


def test_a_test_arrives(fleet: RunningFleet) -> None:
    with receiving() as (server, url):
        hook = created(fleet.api, url)
        fleet.api.http.post(f"/v1/webhooks/{hook['id']}/test")
        ((payload, headers, body),) = arrived(server)

    verified(body, headers, hook["secret"])
    assert (payload["type"], payload["data"]) == ("webhook.test", {})


def test_either_secret_verifies_while_one_is_renewed(fleet: RunningFleet) -> None:
    with receiving() as (server, url):
        hook = created(fleet.api, url)
        new = fleet.api.http.post(f"/v1/webhooks/{hook['id']}/secret").json()["secret"]
        fleet.api.http.post(f"/v1/webhooks/{hook['id']}/test")
        ((_, headers, body),) = arrived(server)

    verified(body, headers, hook["secret"])
    verified(body, headers, new)


def test_an_event_is_told_though_whoever_ended_the_job_died_at_once(fleet: RunningFleet) -> None:
    """The change is all that this process does, and nobody else does anything about the job."""
    fleet.gate.close()

    async def cancel(job_id: str) -> None:
        jobs = AsyncRedisJobStore(fleet.servers.environment()["EMOTIVOICE_REDIS_URL"])
        await jobs.cancel(job_id)
        await jobs.close()

    with receiving() as (server, url):
        created(fleet.api, url)
        job_id = fleet.api.submit(f"Please wait, {uuid.uuid4()}.")
        asyncio.run(cancel(job_id))
        ((payload, _, _),) = arrived(server)

    assert (payload["type"], payload["data"]["id"]) == ("job.cancelled", job_id)


def test_a_job_that_expires_is_told(fleet: RunningFleet, store: Any) -> None:
    with receiving() as (server, url):
        created(fleet.api, url, events=["job.expired"])
        job_id = fleet.api.spoken(f"Too old, {uuid.uuid4()}.")["id"]
        store.zadd(records.EXPIRING, {job_id: time.time() - 1})
        ((payload, _, _),) = arrived(server)

    assert (payload["type"], payload["data"]["id"], payload["data"]["result"]) == ("job.expired", job_id, None)


def test_a_job_that_is_removed_at_once_is_told_nevertheless(fleet: RunningFleet) -> None:
    with receiving(statuses(500, 200)) as (server, url):
        created(fleet.api, url)
        job = fleet.api.spoken(f"Gone at once, {uuid.uuid4()}.")
        assert fleet.api.http.delete(f"/v1/jobs/{job['id']}").status_code == 204
        told = arrived(server, requests=2)

    assert {payload["data"]["id"] for payload, _, _ in told} == {job["id"]}
    assert told[0][0]["data"]["request"] == job["request"]


def test_a_receiver_that_hangs_does_not_hold_up_a_long_text(fleet: RunningFleet) -> None:
    def hanging(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(3)

    long = " ".join(f"This is sentence number {number} of a long text." for number in range(80))
    with receiving(hanging) as (server, url):
        created(fleet.api, url)
        for _ in range(6):
            fleet.api.spoken(f"Hold on, {uuid.uuid4()}.")
        arrived(server)
        started = time.monotonic()
        fleet.api.spoken(f"{long} {uuid.uuid4()}")

    assert time.monotonic() - started < 6


def test_a_worker_that_is_killed_over_a_delivery_loses_nothing(fleet: RunningFleet, store: Any) -> None:
    worker = fleet.fleet.workers[Lane.ASSEMBLY]

    def deadly(handler: BaseHTTPRequestHandler) -> None:
        for pid in [*children(worker.pid or 0), worker.pid or 0]:
            os.kill(pid, signal.SIGKILL)

    with receiving(deadly) as (server, url):
        hook = created(fleet.api, url)
        fleet.api.http.post(f"/v1/webhooks/{hook['id']}/test")
        arrived(server)
        server.answer = fine
        worker.stop()
        worker.start()
        (name,) = [name for name in store.zrange("webhook_due", 0, -1) if name.endswith(hook["id"])]
        assert store.zscore("webhook_due", name)
        store.delete(f"webhook_claim:{name}")  # so long the test would have to wait
        store.zadd("webhook_due", {name: time.time()})
        told = arrived(server, requests=2)

    assert len({headers["webhook-id"] for _, headers, _ in told}) == 1


def test_a_worker_that_stops_finishes_what_is_on_its_way(fleet: RunningFleet) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(1)
        fine(handler)

    worker = fleet.fleet.workers[Lane.ASSEMBLY]
    with receiving(slow) as (server, url):
        hook = created(fleet.api, url)
        fleet.api.http.post(f"/v1/webhooks/{hook['id']}/test")
        arrived(server)
        worker.stop()
        (delivery,) = deliveries(fleet.api, hook["id"])
        worker.start()

    assert (delivery["state"], len(delivery["attempts"]), len(server.requests)) == ("succeeded", 1, 1)


def test_no_secret_no_url_and_no_text_is_in_the_logs(fleet: RunningFleet, store: Any) -> None:
    text, path = f"Nobody logs this {uuid.uuid4().hex}.", uuid.uuid4().hex
    with receiving(statuses(500, 200)) as (server, url):
        hook = created(fleet.api, f"{url}/{path}")
        fleet.api.spoken(text)
        arrived(server, requests=2)
        wait_for(lambda: deliveries(fleet.api, hook["id"])[0]["state"] == "succeeded")

    logs = "".join(file.read_text() for file in fleet.logs.glob("*"))
    assert "webhook tried" in logs
    assert not [word for word in (text, path, hook["secret"]) if word in logs]
    kept = [str(store.hgetall(key)) for key in store.scan_iter("webhook_event:*")]
    assert kept
    assert not [one for one in kept if text in one]

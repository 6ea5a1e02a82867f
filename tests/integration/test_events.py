"""Listening to jobs through a real gateway: while workers speak, while connections break, and many at once."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from cli.stack.probes import http_ok
from shared import records
from shared.settings import SharedSettings
from tests.integration.conftest import RunningFleet
from tests.listening import Event, heard, listening
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

LISTENERS = 200
LONG = "Please wait. " + " ".join(
    f"This is sentence number {number} of a text that is spoken in segments." for number in range(60)
)


@pytest.fixture
def store(fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    for name, value in fleet.servers.environment().items():
        monkeypatch.setenv(name, value)
    url = SharedSettings().redis_url.get_secret_value()
    return redis.Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]


def test_a_listener_hears_each_segment_of_a_long_text(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(LONG + uuid.uuid4().hex)
    with listening(fleet.api.http, job_id) as (_, events):
        assert next(events).name == "job.queued"
        fleet.gate.open()
        rest = list(events)

    done = [event.data["progress"]["segments_done"] for event in rest]
    total = rest[-1].data["progress"]["segments_total"]
    assert rest[-1].name == "job.succeeded"
    assert total > 2
    assert done == sorted(done)
    assert set(done) == set(range(total + 1))


def test_a_listener_that_comes_again_and_again_loses_and_repeats_nothing(fleet: RunningFleet) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(LONG + uuid.uuid4().hex)
    opening = ThreadPoolExecutor(1)
    opened = opening.submit(lambda: (time.sleep(0.5), fleet.gate.open()))
    seen: list[Event] = []
    while not (seen and seen[-1].name == "job.succeeded"):
        with listening(fleet.api.http, job_id, after=seen[-1].id if seen else "") as (_, events):
            seen.append(next(events))  # and the connection breaks off
    opened.result()

    assert len(seen) > 4
    assert seen == heard(fleet.api.http, job_id)


def test_two_hundred_listeners_share_one_subscription(fleet: RunningFleet, store: redis.Redis) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait, everybody listens, {uuid.uuid4()}.")
    fleet.api.running(job_id)
    limits = httpx.Limits(max_connections=LISTENERS, max_keepalive_connections=0)
    with (
        httpx.Client(base_url=fleet.fleet.url, timeout=60, trust_env=False, limits=limits) as http,
        ThreadPoolExecutor(LISTENERS) as threads,
    ):
        started = [threads.submit(lambda: (heard(http, job_id), time.time())) for _ in range(LISTENERS)]
        time.sleep(3)
        subscriptions = dict(store.pubsub_numsub(records.CHANGED))  # pyright: ignore[reportUnknownMemberType]
        assert fleet.api.job(job_id)["state"] == "running"  # the gateway has time for others
        fleet.gate.open()
        opened_at = time.time()
        told = [each.result() for each in started]

    assert subscriptions == {records.CHANGED: 1}
    assert all([event.name for event in events][-1] == "job.succeeded" for events, _ in told)
    assert len({tuple(events) for events in ([event.id for event in events] for events, _ in told)}) == 1
    assert max(at for _, at in told) - opened_at < 5


def test_a_listener_sits_out_a_restart_of_redis(fleet: RunningFleet, nobody_restarted: None) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait and listen on, {uuid.uuid4()}.")
    fleet.api.running(job_id)
    with listening(fleet.api.http, job_id) as (_, events):
        assert next(events).name == "job.queued"
        assert next(events).name == "job.running"
        fleet.servers.redis.stop()
        time.sleep(1)
        fleet.servers.redis.start()
        fleet.gate.open()

        assert [event.name for event in events][-1] == "job.succeeded"


def test_a_gateway_that_leaves_does_not_wait_for_listeners(fleet: RunningFleet) -> None:
    gateway = fleet.fleet.gateway
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait, though nobody does, {uuid.uuid4()}.")
    with listening(fleet.api.http, job_id) as (_, events):
        next(events)
        started = time.monotonic()
        gateway.stop()
        took = time.monotonic() - started
    gateway.start()
    wait_for(lambda: http_ok(fleet.fleet.port, "/readyz"))

    assert took < 10


def test_who_goes_away_is_forgotten(fleet: RunningFleet, store: redis.Redis) -> None:
    fleet.gate.close()
    job_id = fleet.api.submit(f"Please wait, though I will not, {uuid.uuid4()}.")

    def reads() -> int:
        return store.info("commandstats").get("cmdstat_xrange", {}).get("calls", 0)  # pyright: ignore

    def reads_in(seconds: float) -> int:
        before = reads()
        time.sleep(seconds)
        return reads() - before

    with listening(fleet.api.http, job_id) as (_, events):
        next(events)
        assert reads_in(2.5) > 0
    wait_for(lambda: reads_in(2.5) == 0)

"""Which steps are taken for lost, by the records alone. The clock is the test's."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import redis

from cli.stack.servers import LocalServers
from shared import jobs as lifecycle
from shared import records
from shared.async_job_store import AsyncRedisJobStore
from shared.job_store import RedisJobStore
from shared.jobs import KEEP_SECONDS, Job, JobState, Lane, SpeechRequest
from shared.ports import StepRef
from shared.sweep_store import OVERTAKEN_SECONDS, RedisSweepStore

pytestmark = pytest.mark.integration

REQUEST = SpeechRequest("hello", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)
LANE = Lane.BULK
PATIENCE = 60.0
BEGAN = 1_000_000.0
LEASE_SECONDS = 30.0


@dataclass
class World:
    """Empty records, and a sweeper that looks every ten seconds."""

    url: str
    sweeps: RedisSweepStore
    jobs: RedisJobStore
    now: float = BEGAN
    ready: int = 0

    def record(self, name: str) -> StepRef:
        """Record a job of one segment, now."""
        job = Job(name, LANE, 5, self.now)

        async def create() -> None:
            store = AsyncRedisJobStore(self.url)
            await store.create(job, REQUEST)
            await store.close()

        asyncio.run(create())
        return StepRef(name, "0", LANE)

    def start(self, ref: StepRef, *, token: str = "t1") -> None:
        start = partial(lifecycle.start, token=token, now=self.now, lease_seconds=LEASE_SECONDS, redelivered=False)
        self.jobs.change(ref.job_id, ref.step, start)

    def put_back(self, ref: StepRef, *, token: str = "t1") -> None:
        self.jobs.change(ref.job_id, ref.step, partial(lifecycle.put_back, token=token))

    def lost_within(self, seconds: float) -> list[StepRef]:
        """Sweep for that long; return what was named to be sent again."""
        lost: list[StepRef] = []
        until = self.now + seconds
        while self.now < until:
            self.now += 10
            counts = {**dict.fromkeys(Lane, 0), LANE: self.ready}
            lost += self.sweeps.stranded(LANE, now=self.now, ready_messages=self.ready, patience=PATIENCE)
            lost += self.sweeps.lapsed(now=self.now, ready_messages=counts, patience=PATIENCE)
        return lost


@pytest.fixture
def world(servers: LocalServers) -> Iterator[World]:
    url = f"{servers.environment()['EMOTIVOICE_REDIS_URL'].rpartition('/')[0]}/5"
    client: Any = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    with client:
        client.flushdb()
        yield World(url, RedisSweepStore(url), RedisJobStore(url))
        client.flushdb()


def test_a_step_without_a_message_is_lost_when_patience_is_over(world: World) -> None:
    step = world.record("one")

    assert world.lost_within(PATIENCE) == []
    assert world.lost_within(10) == [step]
    assert world.lost_within(PATIENCE - 10) == []  # its patience begins anew
    assert world.lost_within(10) == [step]


def test_a_message_that_was_only_on_its_way_ends_the_suspicion(world: World) -> None:
    world.record("one")
    assert world.lost_within(PATIENCE - 10) == []
    world.ready = 1
    assert world.lost_within(10) == []

    world.ready = 0
    assert world.lost_within(PATIENCE) == []


def test_a_step_that_runs_is_not_lost(world: World) -> None:
    world.start(world.record("one"))
    assert world.lost_within(LEASE_SECONDS + PATIENCE - 10) == []


def test_in_a_long_queue_a_step_is_lost_when_later_ones_were_started(world: World) -> None:
    step = world.record("one")
    world.ready = 1000
    assert world.lost_within(10 * PATIENCE) == []

    world.start(world.record("much later"))
    assert world.lost_within(PATIENCE + 10) == [step]


def test_where_nobody_works_a_step_is_sent_again_once(world: World) -> None:
    """The messages of a lane would grow without end else, one for each such step in each minute."""
    step = world.record("one")
    world.now += OVERTAKEN_SECONDS + 1
    other = world.record("later")
    world.start(other)
    world.put_back(other)
    world.ready = 2

    assert world.lost_within(10 * PATIENCE) == [step]

    world.now += OVERTAKEN_SECONDS
    world.start(world.record("behind the new message"))
    assert world.lost_within(PATIENCE + 10).count(step) == 1


def test_a_step_whose_worker_is_gone_is_sent_again_once_where_nobody_works(world: World) -> None:
    step = world.record("one")
    world.start(step)
    world.ready = 1  # its own, which the broker has taken back; or that of another

    assert world.lost_within(10 * PATIENCE) == [step]

    world.ready = 0
    assert world.lost_within(10) == [step]
    assert world.lost_within(PATIENCE - 10) == []


def test_what_was_sent_again_is_forgotten_when_it_is_done(world: World) -> None:
    step = world.record("one")
    world.lost_within(PATIENCE + 10)
    world.start(step)
    fail = partial(lifecycle.fail, token="t1", now=world.now, failure=lifecycle.Failure("engine_failed", ""))
    world.jobs.change(step.job_id, step.step, fail)

    world.ready = 1
    world.lost_within(10)

    client: Any = redis.Redis.from_url(world.url)  # pyright: ignore[reportUnknownMemberType]
    with client:
        assert not client.exists(f"sent_again:{LANE}", records.suspects_key(LANE), records.LEASES)


def test_a_job_expires_once_and_is_forgotten_later(world: World) -> None:
    ref = world.record("one")
    due = BEGAN + KEEP_SECONDS + 1

    assert world.sweeps.expire(ref.job_id, now=due) is JobState.EXPIRED
    assert world.sweeps.expire(ref.job_id, now=due) is JobState.EXPIRED  # another sweeper, with the same list
    assert world.sweeps.due(now=due, limit=10) == []
    assert world.sweeps.expire(ref.job_id, now=due + KEEP_SECONDS + 1) is None


def test_a_job_that_ended_in_the_moment_in_which_it_was_due_is_kept(world: World) -> None:
    ref = world.record("one")
    world.now = BEGAN + KEEP_SECONDS + 1
    assert world.sweeps.due(now=world.now, limit=10) == [ref.job_id]
    world.start(ref)
    fail = partial(lifecycle.fail, token="t1", now=world.now, failure=lifecycle.Failure("engine_failed", ""))
    world.jobs.change(ref.job_id, ref.step, fail)

    assert world.sweeps.expire(ref.job_id, now=world.now) is JobState.FAILED


def test_a_step_of_a_job_that_is_gone_is_not_sent_again(world: World) -> None:
    """It should not be there at all; but it would be sent again for ever."""
    client: Any = redis.Redis.from_url(world.url)  # pyright: ignore[reportUnknownMemberType]
    with client:
        client.zadd(records.waiting_key(LANE), {"ghost:0": BEGAN})

        assert world.lost_within(3 * PATIENCE) == []
        assert not client.exists(records.waiting_key(LANE), records.suspects_key(LANE))


def test_an_object_that_could_not_be_deleted_is_the_last_to_be_tried_again(world: World) -> None:
    client: Any = redis.Redis.from_url(world.url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    with client:
        client.zadd(records.GARBAGE, {"audio/aa/aa.wav": BEGAN, "audio/bb/bb.wav": BEGAN + 1})
        now = BEGAN + 100
        doomed = world.sweeps.doomed(garbage_before=now - PATIENCE, uploads_before=0, limit=10)
        assert doomed == ["audio/aa/aa.wav", "audio/bb/bb.wav"]
        assert client.get(records.audio_record_key("aa")) == "deleting"

        world.sweeps.spared(["audio/aa/aa.wav"], now=now)
        world.sweeps.deleted(["audio/bb/bb.wav"])

        assert client.zrange(records.GARBAGE, 0, -1, withscores=True) == [("audio/aa/aa.wav", now)]
        assert not client.exists(records.audio_record_key("aa"), records.audio_record_key("bb"))


def test_a_worker_is_busy_until_it_says_otherwise_or_falls_silent(world: World) -> None:
    now = time.time()
    for worker in ("one:1", "two:1"):
        world.jobs.present(worker, LANE, warm=True, busy=True, seconds=10)
    assert world.sweeps.busy_workers(now=now) == {"one:1", "two:1"}

    world.jobs.present("one:1", LANE, warm=True, busy=False, seconds=10)

    assert world.sweeps.busy_workers(now=now) == {"two:1"}
    assert world.sweeps.busy_workers(now=now + 11) == set()

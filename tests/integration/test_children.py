"""The jobs of a book or batch in Redis, and the turns that a tenant's books, batches and single jobs take."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import redis
import uuid_utils

from cli.stack.servers import LocalServers
from shared import jobs as lifecycle
from shared import records
from shared.async_job_store import AsyncRedisJobStore
from shared.children import AsyncRedisChildJobs, RedisChildJobs, child_id
from shared.job_store import RedisJobStore
from shared.jobs import PLAN, Job, JobKind, JobState, Lane, SpeechRequest
from shared.ports import Segment, StepRef

pytestmark = pytest.mark.integration

REQUEST = SpeechRequest("hello", "hum", "neutral", 1.0, 1.0, "flac", 16_000, 0)
WINDOWS = {**dict.fromkeys(Lane, 0), Lane.BULK: 2}


@dataclass
class World:
    """Empty records, a bulk lane in which two steps of a tenant may wait, and what was sent to it, in order."""

    url: str
    sent: list[StepRef] = field(default_factory=list[StepRef])

    def __post_init__(self) -> None:
        self.jobs = RedisJobStore(self.url, windows=WINDOWS, send=self.sent.append)
        self.children = RedisChildJobs(self.url, windows=WINDOWS, send=self.sent.append)

    def chapter(self, parent: str, *, segments: int) -> str:
        """Make the job of a chapter and plan it."""
        job = Job(child_id(parent, "1"), Lane.BULK, 5, 1.0, long=True, segments_total=0, kind=JobKind.CHAPTER)
        self.children.create(replace(job, parent=parent), REQUEST)
        start = partial(lifecycle.start, token="t", now=1.0, lease_seconds=60, redelivered=False)
        self.jobs.change(job.id, PLAN, start)
        finish = partial(lifecycle.finish_plan, token="t", segments=segments)
        self.jobs.plan(job.id, finish, [Segment("hello", 0.5)] * segments)
        waiting = self.jobs.waiting_steps(replace(job, segments_total=segments))  # the planner sends these
        self.sent += [StepRef(job.id, step, Lane.BULK) for step in waiting]
        return job.id

    def single(self) -> str:
        job = Job(str(uuid_utils.uuid7()), Lane.BULK, 5, 1.0)

        async def create() -> None:
            store = AsyncRedisJobStore(self.url, windows=WINDOWS)
            await store.create(job, REQUEST)
            await store.close()

        asyncio.run(create())
        return job.id

    def work(self, steps: int) -> list[str]:
        """Have the next steps of the lane started, one after the other; return whose they were."""
        done: list[str] = []
        while len(done) < steps:
            lane = [one for one in self.sent if one.lane is Lane.BULK]
            step = lane[0]
            self.sent.remove(step)
            start = partial(lifecycle.start, token="t", now=1.0, lease_seconds=60, redelivered=False)
            self.jobs.change(step.job_id, step.step, start)
            done.append(step.job_id)
        return done


@pytest.fixture
def world(servers: LocalServers) -> Iterator[World]:
    url = f"{servers.environment()['EMOTIVOICE_REDIS_URL'].rpartition('/')[0]}/7"
    client: Any = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    with client:
        client.flushdb()
        yield World(url)
        client.flushdb()


def parent() -> str:
    return str(uuid_utils.uuid7())


def test_two_books_of_one_tenant_take_turns(world: World) -> None:
    first = world.chapter(parent(), segments=10)
    second = world.chapter(parent(), segments=10)

    order = world.work(20)

    assert {*order} == {first, second}
    assert order[:2] == [first, first]  # they were in the queue already
    assert all(order[n : n + 4].count(second) == 2 for n in range(2, 14, 2))


def test_a_book_that_comes_later_does_not_catch_up_first(world: World) -> None:
    first = world.chapter(parent(), segments=30)
    world.work(20)

    second = world.chapter(parent(), segments=10)

    assert world.work(16).count(second) in range(6, 9)
    assert world.work(4).count(first) in range(1, 4)


def test_a_single_job_is_next_though_its_tenant_has_a_long_book(world: World) -> None:
    world.chapter(parent(), segments=50)
    world.work(5)

    single = world.single()

    assert single in world.work(4)


def test_a_child_that_is_made_twice_is_one(world: World) -> None:
    book = parent()
    job = Job(child_id(book, "one"), Lane.BULK, 5, 1.0, parent=book)

    assert world.children.create(job, REQUEST)
    assert not world.children.create(job, REQUEST)

    assert [one.job_id for one in world.sent] == [job.id]


def test_a_parents_counts_are_right_with_each_change(world: World) -> None:
    book = parent()
    jobs = [Job(child_id(book, str(n)), Lane.BULK, 5, 1.0, parent=book) for n in range(3)]
    for job in jobs:
        world.children.create(job, REQUEST)
    start = partial(lifecycle.start, token="t", now=1.0, lease_seconds=60, redelivered=False)
    world.jobs.change(jobs[0].id, "0", start)
    world.children.cancel(jobs[1].id)
    world.children.cancel(jobs[1].id)

    async def look() -> tuple[dict[JobState, int], list[str]]:
        children = AsyncRedisChildJobs(world.url)
        found = await children.counts(book), await children.page(book, after="", limit=10)
        await children.close()
        return found

    counts, ids = asyncio.run(look())
    assert {state: count for state, count in counts.items() if count} == {"queued": 1, "running": 1, "cancelled": 1}
    assert ids == sorted(job.id for job in jobs)


def test_a_child_is_in_its_parents_list_and_news_and_not_in_its_tenants(world: World) -> None:
    book = parent()
    job = Job(child_id(book, "one"), Lane.BULK, 5, 1.0, parent=book)
    world.children.create(job, REQUEST)

    async def look() -> tuple[int, int, int]:
        store = AsyncRedisJobStore(world.url)
        page = await store.page(job.tenant, state=None, before=None, limit=10)
        queued = await store.page(job.tenant, state=JobState.QUEUED, before=None, limit=10)
        news = await store._redis.xlen(records.events_key(book))  # pyright: ignore[reportPrivateUsage]
        await store.close()
        return len(page), len(queued), news

    assert asyncio.run(look()) == (0, 0, 1)


def test_a_childs_id_follows_from_its_parent_and_has_its_time() -> None:
    book = parent()

    assert child_id(book, "a") == child_id(book, "a") != child_id(book, "b")
    assert child_id(book, "a")[:13] == book[:13]

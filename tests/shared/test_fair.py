"""Fair shares by the records alone: what is sent, what is parked, and what is sent next."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import pytest
import redis

from cli.stack.servers import LocalServers
from shared import jobs as lifecycle
from shared.async_job_store import AsyncRedisJobStore
from shared.errors import LaneFull, QueueUnavailable
from shared.fair import NO_WINDOWS
from shared.job_store import RedisJobStore
from shared.jobs import PLAN, Failure, Job, Lane
from shared.ports import JobView, LaneLoad, Recorded, Segment, StepRef
from shared.sweep_store import RedisSweepStore
from tests.shared.test_job_store_contract import REQUEST, new_job

pytestmark = pytest.mark.integration

T = TypeVar("T")
LANE = Lane.BULK
WINDOWS = {**NO_WINDOWS, LANE: 2}
FAILURE = Failure("engine_failed", "it failed")


@dataclass
class World:
    """Empty records with a window of two, and what was sent for others than who asked."""

    url: str
    sent: list[str] = field(default_factory=list[str])
    broker_away: bool = False

    def __post_init__(self) -> None:
        self.worker = RedisJobStore(self.url, windows=WINDOWS, send=self._send)
        self.sweeps = RedisSweepStore(self.url, windows=WINDOWS)

    def _send(self, step: StepRef) -> None:
        if self.broker_away:
            raise QueueUnavailable
        self.sent.append(name(step))

    async def _send_later(self, step: StepRef) -> None:
        self._send(step)

    def on_gateway(self, ask: Callable[[AsyncRedisJobStore], Awaitable[T]]) -> T:
        async def asked() -> T:
            store = AsyncRedisJobStore(self.url, windows=WINDOWS, send=self._send_later)
            try:
                return await ask(store)
            finally:
                await store.close()

        return asyncio.run(asked())

    def submit(self, tenant: str = "a", **fields: object) -> tuple[Job, list[str]]:
        """Record a job; return it and what is to be enqueued."""
        job = new_job(tenant=tenant, **fields)
        recorded = self.on_gateway(lambda store: store.create(job, REQUEST))
        assert isinstance(recorded, Recorded)
        return job, [name(step) for step in recorded.ready]

    def view(self, job: Job) -> JobView:
        view = self.on_gateway(lambda store: store.view(job.id))
        assert view
        return view

    def load(self) -> LaneLoad:
        return self.on_gateway(lambda store: store.loads())[LANE]

    def start(self, job: Job, step: str = "0", *, token: str = "t") -> None:
        start = partial(lifecycle.start, token=token, now=time.time(), lease_seconds=30, redelivered=False)
        self.worker.change(job.id, step, start)

    def fail(self, job: Job, step: str = "0") -> None:
        self.worker.change(job.id, step, partial(lifecycle.fail, token="t", now=time.time(), failure=FAILURE))

    def swept(self) -> list[str]:
        return [name(step) for step in self.sweeps.ready(LANE, now=time.time())]


def name(step: StepRef) -> str:
    return f"{step.job_id}:{step.step}"


def first(*jobs: Job) -> list[str]:
    return [f"{job.id}:{job.first_step}" for job in jobs]


@pytest.fixture
def world(servers: LocalServers) -> Iterator[World]:
    url = f"{servers.environment()['EMOTIVOICE_REDIS_URL'].rpartition('/')[0]}/6"
    client: Any = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    with client:
        client.flushdb()
        yield World(url)
        client.flushdb()


def test_what_is_over_the_window_is_parked_and_sent_in_order_as_steps_start(world: World) -> None:
    submitted = [world.submit() for _ in range(5)]
    jobs = [job for job, _ in submitted]

    assert [ready for _, ready in submitted] == [first(jobs[0]), first(jobs[1]), [], [], []]
    for job in jobs[:3]:
        world.start(job)
    assert world.sent == first(*jobs[2:])


def test_each_tenant_has_a_window_of_its_own(world: World) -> None:
    for _ in range(4):
        world.submit("a")

    job, ready = world.submit("b")

    assert ready == first(job)


def test_a_step_that_is_given_back_has_its_place_again(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(4)]
    world.start(jobs[0])

    world.worker.change(jobs[0].id, "0", partial(lifecycle.put_back, token="t"))
    world.start(jobs[1])
    assert world.sent == first(jobs[2])  # two wait: the one given back, and the one sent when it started

    world.start(jobs[0], token="u")
    assert world.sent == first(jobs[2], jobs[3])


def test_a_cancelled_job_makes_room_whether_it_was_sent_or_parked(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(4)]

    world.on_gateway(lambda store: store.cancel(jobs[2].id))
    assert world.sent == []
    world.on_gateway(lambda store: store.cancel(jobs[0].id))

    assert world.sent == first(jobs[3])
    assert world.load().waiting == 2


def test_a_book_does_not_fill_the_lane_and_its_segments_come_in_order(world: World) -> None:
    book, _ = world.submit(long=True, segments_total=0)
    world.start(book, PLAN)
    segments = [Segment(f"text {n}", 0.0) for n in range(12)]

    plan = partial(lifecycle.finish_plan, token="t", segments=12)
    change = world.worker.plan(book.id, plan, segments)

    assert change
    assert world.sent == []  # who planned it enqueues what may go
    assert world.worker.waiting_steps(change.job) == ["0", "1"]
    for step in range(11):
        world.start(book, str(step))
    assert world.sent == [f"{book.id}:{n}" for n in range(2, 12)]


def test_a_failed_book_leaves_nothing_behind_and_makes_room(world: World) -> None:
    book, _ = world.submit(long=True, segments_total=0)
    world.start(book, PLAN)
    segments = [Segment(f"text {n}", 0.0) for n in range(5)]
    world.worker.plan(book.id, partial(lifecycle.finish_plan, token="t", segments=5), segments)
    job, ready = world.submit()
    world.start(book, "0")

    world.fail(book)

    assert (ready, world.sent) == ([], [f"{book.id}:2", *first(job)])
    assert world.load().waiting == 1


def test_what_nobody_sent_is_sent_by_the_sweeper_once(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(5)]
    without_broker = RedisJobStore(world.url, windows={**NO_WINDOWS, LANE: -1})  # as one that can send nothing
    start = partial(lifecycle.start, token="t", now=time.time(), lease_seconds=30, redelivered=False)
    without_broker.change(jobs[0].id, "0", start)

    assert world.swept() == first(jobs[2])
    assert world.swept() == []


def test_what_could_not_be_sent_is_found_like_any_lost_message(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(3)]
    world.broker_away = True
    world.start(jobs[0])
    world.start(jobs[1])

    now = time.time()
    looks = [world.sweeps.stranded(LANE, now=now + ago, ready_messages=0, patience=60) for ago in (10, 71)]

    assert [[name(step) for step in found] for found in looks] == [[], first(jobs[2])]


def test_a_parked_step_is_never_taken_for_lost(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(4)]
    now = time.time()

    found = [
        step
        for ago in (0, 100, 200)
        for step in world.sweeps.stranded(LANE, now=now + ago, ready_messages=0, patience=60)
    ]

    assert {name(step) for step in found} == {*first(*jobs[:2])}


def test_an_expired_job_makes_room(world: World) -> None:
    job, _ = world.submit(keep_seconds=1.0)
    jobs = [world.submit()[0] for _ in range(2)]

    world.sweeps.expire(job.id, now=time.time() + 10)

    assert world.swept() == first(jobs[1])


def test_a_place_in_the_queue_is_told_of_what_is_parked_too(world: World) -> None:
    jobs = [world.submit("a")[0] for _ in range(4)]
    alone = [world.view(job).position for job in jobs]
    others = [world.submit("b")[0] for _ in range(3)]

    assert alone == [1, 2, 3, 4]
    assert world.view(others[0]).position == 3
    assert [world.view(job).position for job in jobs[2:]] == [5, 7]  # behind the four in the queue, in turns with b's
    assert world.load().waiting == 7
    assert world.load().oldest_seconds == pytest.approx(time.time() - jobs[0].created_at, abs=1)


def test_a_repeated_request_knows_whether_its_job_is_parked(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(3)]

    parked = [world.on_gateway(lambda store, job=job: store.parked(job)) for job in jobs]

    assert parked == [False, False, True]


def test_a_lane_is_full_for_a_tenant_by_the_queue_and_its_own_but_not_by_what_others_park(world: World) -> None:
    for _ in range(6):
        world.submit("a")  # two in the queue, four parked

    def try_one(tenant: str) -> bool:
        job = new_job(tenant=tenant)
        try:
            world.on_gateway(lambda store: store.create(job, REQUEST, most_ahead=5))
        except LaneFull:
            return False
        return True

    assert [try_one("a"), try_one("b")] == [False, True]


def test_a_job_whose_reply_was_lost_is_enqueued_unless_it_is_parked(world: World) -> None:
    jobs = [world.submit()[0] for _ in range(3)]

    again = [world.on_gateway(lambda store, job=job: store.create(job, REQUEST)) for job in jobs]

    assert [[name(step) for step in each.ready] for each in again if isinstance(each, Recorded)] == [
        first(jobs[0]),
        first(jobs[1]),
        [],
    ]


def test_a_job_that_is_opened_again_goes_past_the_window(world: World) -> None:
    job, _ = world.submit()
    world.start(job)
    world.fail(job)
    for _ in range(3):
        world.submit()

    reopened = world.on_gateway(lambda store: store.reopen(job.id))

    assert reopened
    assert reopened.steps == ["0"]
    world.start(replace(job), token="u")
    assert world.sent == []  # two still wait

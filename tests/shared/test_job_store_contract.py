"""What both job stores must do: the one in memory, and the one in a real Redis."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import pytest

from cli.stack.servers import LocalServers
from shared import jobs as lifecycle
from shared.errors import IdempotencyConflict, StorageUnavailable
from shared.job_store import AsyncRedisJobStore, RedisJobStore
from shared.jobs import Audio, Change, Job, JobState, Lane, Outcome, SpeechRequest
from shared.ports import AsyncJobStore, JobStore, JobView, Segment
from tests.fakes import CATALOGUE, InMemoryAsyncJobStore, InMemoryJobStore

REQUEST = SpeechRequest("你好 world", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)


@dataclass
class Stores:
    """A worker's and a gateway's view of the same records."""

    worker: JobStore
    on_gateway: Callable[[Callable[[AsyncJobStore], Awaitable[object]]], object]

    def create(self, **fields: object) -> Job:
        job = new_job(**fields)
        self.on_gateway(lambda gateway: gateway.create(job, REQUEST))
        return job

    def view(self, job: Job) -> JobView:
        view = self.on_gateway(lambda gateway: gateway.view(job.id))
        assert isinstance(view, JobView)
        return view

    def start(self, job: Job, step: str = "0", *, token: str = "t1", redelivered: bool = False) -> Outcome:
        start = partial(lifecycle.start, token=token, now=time.time(), lease_seconds=30, redelivered=redelivered)
        return self.decided(job, step, start)

    def finish(self, job: Job, step: str = "0", *, token: str = "t1", audio: Audio) -> Outcome:
        finish = partial(lifecycle.finish_segment, token=token, now=time.time(), audio=audio, engine_seconds=0.5)
        return self.decided(job, step, finish, audio=audio)

    def decided(self, job: Job, step: str, decide: Callable[..., Change], *, audio: Audio | None = None) -> Outcome:
        change = self.worker.change(job.id, step, decide, audio=audio)
        return change.outcome if change else Outcome.MISSING


def new_job(**fields: object) -> Job:
    job = Job(id=f"{time.time_ns():020d}-{uuid.uuid4().hex[:15]}", lane=Lane.BULK, characters=8, created_at=time.time())
    return replace(job, **fields)  # pyright: ignore[reportArgumentType] - a test names the fields it needs


def audio_of(name: str = "") -> Audio:
    address = name or uuid.uuid4().hex
    return Audio(address, f"audio/{address}.wav", 10, 1.5, 16_000, "wav", "0" * 64, (("你好", 0.0, 0.4),))


def on_redis(url: str, ask: Callable[[AsyncJobStore], Awaitable[object]]) -> object:
    async def asked() -> object:
        store = AsyncRedisJobStore(url)
        try:
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(asked())


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        records = InMemoryJobStore()
        gateway = InMemoryAsyncJobStore(records)

        async def asked(ask: Callable[[AsyncJobStore], Awaitable[object]]) -> object:
            return await ask(gateway)

        yield Stores(records, lambda ask: asyncio.run(asked(ask)))
    else:
        servers: LocalServers = request.getfixturevalue("servers")
        url = servers.environment()["EMOTIVOICE_REDIS_URL"]
        yield Stores(RedisJobStore(url), partial(on_redis, url))


def test_a_created_job_is_found_as_it_was_written(stores: Stores) -> None:
    job = stores.create(metadata={"book": "四十二"})

    view = stores.view(job)

    assert (view.job, view.request) == (job, REQUEST)
    assert view.audio is None


def test_an_unknown_job_is_not_found(stores: Stores) -> None:
    assert stores.on_gateway(lambda gateway: gateway.view("nobody")) is None
    assert stores.worker.load("nobody", "0") is None
    assert stores.worker.change("nobody", "0", lambda job, step: pytest.fail("nothing to decide")) is None


def test_the_same_key_and_body_is_the_same_job(stores: Stores) -> None:
    first, second, key = new_job(), new_job(), uuid.uuid4().hex

    async def twice(gateway: AsyncJobStore) -> tuple[int | str, ...]:
        made = await gateway.create(first, REQUEST, key=key, fingerprint="same")
        return made, await gateway.create(second, REQUEST, key=key, fingerprint="same")

    place_and_owner = stores.on_gateway(twice)
    assert isinstance(place_and_owner, tuple)
    assert place_and_owner[1] == first.id
    assert stores.worker.load(second.id, "0") is None


def test_the_same_key_with_another_body_is_a_conflict(stores: Stores) -> None:
    key = uuid.uuid4().hex
    stores.on_gateway(lambda gateway: gateway.create(new_job(), REQUEST, key=key, fingerprint="one"))

    with pytest.raises(IdempotencyConflict):
        stores.on_gateway(lambda gateway: gateway.create(new_job(), REQUEST, key=key, fingerprint="two"))


def test_a_refused_job_has_failed_and_its_key_is_free(stores: Stores) -> None:
    job, again, key = new_job(), new_job(), uuid.uuid4().hex

    async def refused(gateway: AsyncJobStore) -> int | str:
        await gateway.create(job, REQUEST, key=key, fingerprint="same")
        await gateway.refuse(job, key=key)
        return await gateway.create(again, REQUEST, key=key, fingerprint="same")

    assert isinstance(stores.on_gateway(refused), int)
    assert stores.view(job).job.state is JobState.FAILED


def test_a_started_step_is_held_until_the_broker_says_its_worker_is_gone(stores: Stores) -> None:
    job = stores.create()

    assert stores.start(job, token="t1") is Outcome.APPLIED
    assert stores.start(job, token="t2") is Outcome.HELD
    assert stores.start(job, token="t2", redelivered=True) is Outcome.APPLIED
    assert stores.finish(job, token="t1", audio=audio_of()) is Outcome.FENCED
    assert stores.finish(job, token="t2", audio=audio_of()) is Outcome.APPLIED


def test_a_finished_job_has_its_audio(stores: Stores) -> None:
    job, audio = stores.create(), audio_of()
    stores.start(job)

    stores.finish(job, audio=audio)

    view = stores.view(job)
    assert view.job.state is JobState.SUCCEEDED
    assert view.job.engine_seconds == 0.5
    assert view.audio == audio
    assert stores.worker.audio(audio.address) == audio


def test_cancelling_is_final_and_stops_the_worker(stores: Stores) -> None:
    job = stores.create()
    stores.start(job)

    stores.on_gateway(lambda gateway: gateway.cancel(job.id))

    assert stores.finish(job, audio=audio_of()) is Outcome.JOB_FINISHED
    assert stores.view(job).job.state is JobState.CANCELLED
    assert stores.view(job).audio is None


def test_cancelling_a_finished_job_changes_nothing(stores: Stores) -> None:
    job = stores.create()
    stores.start(job)
    stores.finish(job, audio=audio_of())

    stores.on_gateway(lambda gateway: gateway.cancel(job.id))

    assert stores.view(job).job.state is JobState.SUCCEEDED


def test_audio_goes_with_the_last_job_that_holds_it(stores: Stores) -> None:
    one, two, audio = stores.create(), stores.create(), audio_of()
    for job in (one, two):
        stores.start(job)
        stores.finish(job, audio=audio)

    assert stores.on_gateway(lambda gateway: gateway.remove(one.id)) == []
    assert stores.on_gateway(lambda gateway: gateway.remove(two.id)) == [audio]
    assert stores.on_gateway(lambda gateway: gateway.view(two.id)) is None


def test_audio_that_is_being_deleted_is_neither_found_nor_stored_again_until_it_is_gone(stores: Stores) -> None:
    one, two, audio = stores.create(), stores.create(), audio_of()
    stores.start(one)
    stores.finish(one, audio=audio)
    stores.on_gateway(lambda gateway: gateway.remove(one.id))
    stores.start(two)

    assert stores.worker.audio(audio.address) is None
    with pytest.raises(StorageUnavailable):
        stores.finish(two, audio=audio)

    stores.on_gateway(lambda gateway: gateway.deleted([audio]))
    assert stores.finish(two, audio=audio) is Outcome.APPLIED


def test_a_long_job_is_planned_spoken_and_joined(stores: Stores) -> None:
    job = stores.create(long=True, segments_total=0)
    stores.start(job, "plan")
    segments = [Segment("一。", 0.4), Segment("two.", 0.8)]
    stores.worker.plan(job.id, partial(lifecycle.finish_plan, token="t1", segments=2), segments)
    assert stores.worker.waiting_steps(job.id) == ["0", "1"]
    parts = [audio_of(), audio_of()]

    for step, part in zip(("1", "0"), reversed(parts), strict=True):
        stores.start(job, step)
        stores.finish(job, step, audio=part)

    assert stores.worker.waiting_steps(job.id) == []
    assert stores.worker.segments(job.id) == segments
    assert stores.worker.segment(job.id, "1") == segments[1]
    assert stores.worker.segment_audio(job.id) == parts
    assert stores.view(job).job.segments_done == 2
    assert stores.view(job).job.state is JobState.RUNNING


def test_jobs_are_listed_newest_first_in_pages_and_by_state(stores: Stores) -> None:
    jobs = [stores.create() for _ in range(4)]
    stores.on_gateway(lambda gateway: gateway.cancel(jobs[1].id))

    async def pages(gateway: AsyncJobStore) -> list[list[str]]:
        first = await gateway.page(state=None, before=None, limit=2)
        second = await gateway.page(state=None, before=first[-1].job.id, limit=2)
        cancelled = await gateway.page(state=JobState.CANCELLED, before=None, limit=1)
        return [[view.job.id for view in page] for page in (first, second, cancelled)]

    ids = [job.id for job in jobs]
    assert stores.on_gateway(pages) == [ids[3:1:-1], ids[1::-1], [ids[1]]]


def test_a_waiting_job_knows_its_place(stores: Stores) -> None:
    before = stores.create(lane=Lane.INTERACTIVE)
    job = stores.create(lane=Lane.INTERACTIVE)
    place = stores.view(job).position
    assert place is not None

    stores.start(before)

    assert stores.view(job).position == place - 1
    stores.start(job)
    assert stores.view(job).position is None


def test_the_catalogue_is_what_the_workers_announced(stores: Stores) -> None:
    stores.worker.announce(CATALOGUE)

    assert stores.on_gateway(lambda gateway: gateway.catalogue()) == CATALOGUE


@pytest.mark.integration
def test_many_workers_finish_the_segments_of_one_job_each_counted_once(servers: LocalServers) -> None:
    url = servers.environment()["EMOTIVOICE_REDIS_URL"]
    stores = Stores(RedisJobStore(url), partial(on_redis, url))
    job = stores.create(long=True, segments_total=40)

    def spoken(step: int) -> Outcome:
        stores.start(job, str(step))
        return stores.finish(job, str(step), audio=audio_of())

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(spoken, range(40)))

    assert outcomes == [Outcome.APPLIED] * 40
    assert stores.view(job).job.segments_done == 40


@pytest.mark.integration
def test_a_watcher_hears_of_a_change_at_once(servers: LocalServers) -> None:
    url = servers.environment()["EMOTIVOICE_REDIS_URL"]
    job = new_job()

    async def heard(gateway: AsyncJobStore) -> float:
        await gateway.create(job, REQUEST)
        async with gateway.watch(job.id) as changed:
            await changed(0.5)  # the first wait opens the subscription
            asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(gateway.cancel(job.id)))
            started = time.monotonic()
            await changed(5)
            return time.monotonic() - started

    seconds = on_redis(url, heard)
    assert isinstance(seconds, float)
    assert seconds < 0.9  # without the news it would look again after a second

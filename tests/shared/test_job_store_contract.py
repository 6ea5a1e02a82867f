"""What both job stores must do: the one in memory, and the one in a real Redis."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import pytest

from cli.stack.servers import LocalServers
from shared import jobs as lifecycle
from shared.async_job_store import AsyncRedisJobStore
from shared.errors import IdempotencyConflict, StorageUnavailable
from shared.job_store import RedisJobStore
from shared.jobs import Audio, Change, Job, JobState, Lane, Outcome, SpeechRequest
from shared.ports import AsyncJobStore, AudioClaim, Holder, JobStore, JobView, LaneLoad, Recorded, Reopened, Segment
from shared.sweep_store import RedisSweepStore
from tests.fakes import CATALOGUE, InMemoryAsyncJobStore, InMemoryJobStore

ONE, TWO = Holder("one:0", "t1"), Holder("two:0", "t1")
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
        self.claim(audio)
        finish = partial(lifecycle.finish_segment, token=token, now=time.time(), audio=audio, engine_seconds=0.5)
        return self.decided(job, step, finish, audio=audio)

    def claim(self, audio: Audio, *, holder: Holder = ONE) -> Audio | AudioClaim:
        return self.worker.find_audio(audio.address, key=audio.key, holder=holder, seconds=30)

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
        url = servers.environment()["EMOTIVOICE_REDIS_URL"].rpartition("/")[0] + "/4"  # apart from other tests' jobs
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

    async def twice(gateway: AsyncJobStore) -> tuple[Recorded | str, ...]:
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

    async def refused(gateway: AsyncJobStore) -> Recorded | str:
        await gateway.create(job, REQUEST, key=key, fingerprint="same")
        await gateway.refuse(job, key=key)
        return await gateway.create(again, REQUEST, key=key, fingerprint="same")

    assert isinstance(stores.on_gateway(refused), Recorded)
    assert stores.view(job).job.state is JobState.FAILED


def test_a_job_whose_request_came_again_is_not_refused(stores: Stores) -> None:
    job = stores.create()

    again = stores.on_gateway(lambda gateway: gateway.repeat(job.id))

    assert again == replace(job, repeats=1)
    assert stores.on_gateway(lambda gateway: gateway.refuse(job)) is False
    assert stores.view(job).job.state is JobState.QUEUED


def test_a_job_that_was_started_after_all_is_not_refused(stores: Stores) -> None:
    job = stores.create()
    stores.start(job)

    assert stores.on_gateway(lambda gateway: gateway.refuse(job)) is False
    running = stores.on_gateway(lambda gateway: gateway.repeat(job.id))
    assert isinstance(running, Job)
    assert (running.state, running.repeats) == (JobState.RUNNING, 0)


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
    assert stores.claim(audio) == audio


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
    assert stores.on_gateway(lambda gateway: gateway.remove(two.id)) == [audio.key]
    assert stores.on_gateway(lambda gateway: gateway.view(two.id)) is None


def test_audio_that_is_being_deleted_is_neither_found_nor_stored_again_until_it_is_gone(stores: Stores) -> None:
    one, two, audio = stores.create(), stores.create(), audio_of()
    stores.start(one)
    stores.finish(one, audio=audio)
    stores.on_gateway(lambda gateway: gateway.remove(one.id))
    stores.start(two)

    with pytest.raises(StorageUnavailable):
        stores.claim(audio)
    finish = partial(lifecycle.finish_segment, token="t1", now=time.time(), audio=audio, engine_seconds=0.5)
    with pytest.raises(StorageUnavailable):
        stores.decided(two, "0", finish, audio=audio)

    stores.on_gateway(lambda gateway: gateway.deleted([audio.key]))
    with pytest.raises(StorageUnavailable):  # what a worker found before is gone: it has to be made again
        stores.decided(two, "0", finish, audio=audio)
    assert stores.finish(two, audio=audio) is Outcome.APPLIED


def test_a_long_job_is_planned_spoken_and_joined(stores: Stores) -> None:
    job = stores.create(long=True, segments_total=0)
    stores.start(job, "plan")
    segments = [Segment("一。", 0.4), Segment("two.", 0.8)]
    stores.worker.plan(job.id, partial(lifecycle.finish_plan, token="t1", segments=2), segments)
    assert stores.worker.waiting_steps(stores.view(job).job) == ["0", "1"]
    parts = [audio_of(), audio_of()]

    for step, part in zip(("1", "0"), reversed(parts), strict=True):
        stores.start(job, step)
        stores.finish(job, step, audio=part)

    assert stores.worker.waiting_steps(stores.view(job).job) == []
    assert stores.worker.segments(job.id) == segments
    assert stores.worker.segment(job.id, "1") == segments[1]
    assert stores.worker.segment_audio(job.id) == dict(zip("01", parts, strict=True))
    assert stores.view(job).job.segments_done == 2
    assert stores.view(job).job.state is JobState.RUNNING


def test_audio_is_made_by_one_at_a_time(stores: Stores) -> None:
    job, audio = stores.create(), audio_of()
    assert stores.claim(audio, holder=ONE) is AudioClaim.OURS

    assert stores.claim(audio, holder=TWO) is AudioClaim.HELD
    assert stores.claim(audio, holder=ONE) is AudioClaim.OURS  # its message came again

    stores.start(job)
    finish = partial(lifecycle.finish_segment, token="t1", now=time.time(), audio=audio, engine_seconds=0.5)
    stores.decided(job, "0", finish, audio=audio)
    assert stores.claim(audio, holder=TWO) == audio


def test_who_takes_a_step_over_takes_its_claim_over(stores: Stores) -> None:
    """The one before, which wakes up too late, neither keeps nor drops what is its successor's."""
    job, audio = stores.create(), audio_of()
    stores.claim(audio, holder=ONE)
    successor = replace(ONE, token="t2")
    assert stores.claim(audio, holder=successor) is AudioClaim.OURS

    stores.worker.drop_claim(audio.address, key=audio.key, holder=ONE, stored=False)

    assert stores.claim(audio, holder=TWO) is AudioClaim.HELD
    stores.start(job)
    finish = partial(lifecycle.finish_segment, token="t1", now=time.time(), audio=audio, engine_seconds=0.5)
    assert stores.decided(job, "0", finish, audio=audio) is Outcome.APPLIED


@pytest.mark.parametrize("stored", [False, True])
def test_a_claim_that_is_dropped_is_free_for_the_next(stores: Stores, stored: bool) -> None:
    audio = audio_of()
    stores.claim(audio, holder=ONE)

    stores.worker.drop_claim(audio.address, key=audio.key, holder=TWO, stored=stored)
    assert stores.claim(audio, holder=TWO) is AudioClaim.HELD
    stores.worker.drop_claim(audio.address, key=audio.key, holder=ONE, stored=stored)
    assert stores.claim(audio, holder=TWO) is AudioClaim.OURS


def test_audio_that_was_lost_is_forgotten_but_not_what_was_made_meanwhile(stores: Stores) -> None:
    one, two, audio = stores.create(), stores.create(), audio_of()
    stores.start(one)
    stores.finish(one, audio=audio)

    stores.worker.forget_audio(replace(audio, sha256="1" * 64))
    assert stores.claim(audio) == audio
    stores.worker.forget_audio(audio)
    assert stores.claim(audio) is AudioClaim.OURS
    stores.start(two)
    assert stores.finish(two, audio=audio) is Outcome.APPLIED
    assert stores.view(one).audio == audio


def test_a_job_whose_audio_is_lost_is_spoken_again(stores: Stores) -> None:
    job, audio = stores.create(), audio_of()
    stores.start(job)
    stores.finish(job, audio=audio)

    again = stores.on_gateway(lambda gateway: gateway.reopen(job.id))

    assert isinstance(again, Reopened)
    assert (again.job.state, again.steps) == (JobState.QUEUED, ["0"])
    assert stores.on_gateway(lambda gateway: gateway.reopen(job.id)) is None
    assert stores.view(job).job.state is JobState.QUEUED
    assert stores.view(job).audio is None
    assert stores.start(job, token="t2") is Outcome.APPLIED
    assert stores.finish(job, token="t2", audio=audio) is Outcome.APPLIED
    assert stores.view(job).audio == audio


@pytest.mark.integration
def test_a_job_that_is_opened_again_while_it_is_removed_leaves_nothing(servers: LocalServers) -> None:
    url = servers.environment()["EMOTIVOICE_REDIS_URL"]
    stores = Stores(RedisJobStore(url), partial(on_redis, url))
    job = stores.create(lane=Lane.ASSEMBLY)
    stores.start(job)
    broken = lifecycle.Failure("engine_failed", "no")
    stores.decided(job, "0", partial(lifecycle.fail, token="t1", now=time.time(), failure=broken))
    stores.on_gateway(lambda gateway: gateway.reopen(job.id))

    stores.on_gateway(lambda gateway: gateway.remove(job.id))

    waiting = RedisSweepStore(url).stranded(Lane.ASSEMBLY, now=time.time() + 10, ready_messages=0, patience=0)
    assert job.id not in {step.job_id for step in waiting}


def test_a_long_job_that_failed_goes_on_with_what_it_lacks(stores: Stores) -> None:
    job = stores.create(long=True, segments_total=0)
    stores.start(job, "plan")
    segments = [Segment("一。", 0.4), Segment("two.", 0.8), Segment("three.", 0.8)]
    stores.worker.plan(job.id, partial(lifecycle.finish_plan, token="t1", segments=3), segments)
    spoken = audio_of()
    for step in ("0", "1"):
        stores.start(job, step)
    stores.finish(job, "0", audio=spoken)
    broken = lifecycle.Failure("engine_failed", "no")
    stores.decided(job, "1", partial(lifecycle.fail, token="t1", now=time.time(), failure=broken))

    again = stores.on_gateway(lambda gateway: gateway.reopen(job.id))

    assert isinstance(again, Reopened)
    assert again.steps == ["1", "2"]
    assert (again.job.segments_done, again.job.failure) == (1, None)
    assert stores.worker.waiting_steps(stores.view(job).job) == ["1", "2"]
    assert stores.start(job, "1", token="t2") is Outcome.APPLIED
    assert stores.finish(job, "1", token="t1", audio=audio_of()) is Outcome.FENCED


def test_a_segment_that_is_lost_is_spoken_again_and_then_joined(stores: Stores) -> None:
    job = stores.create(long=True, segments_total=0)
    stores.start(job, "plan")
    segments = [Segment("一。", 0.4), Segment("two.", 0.8)]
    stores.worker.plan(job.id, partial(lifecycle.finish_plan, token="t1", segments=2), segments)
    parts = [audio_of(), audio_of()]
    for step, part in zip("01", parts, strict=True):
        stores.start(job, step)
        stores.finish(job, step, audio=part)
    stores.start(job, "join")

    lose = partial(lifecycle.lose_segment, address=parts[1].address)
    stores.worker.forget_audio(parts[1])
    assert stores.decided(job, "1", lose) is Outcome.APPLIED
    assert stores.decided(job, "1", lose) is not Outcome.APPLIED
    stores.decided(job, "join", partial(lifecycle.put_back, token="t1"))

    assert stores.worker.segment_audio(job.id)["0"] == parts[0]
    assert stores.worker.waiting_steps(stores.view(job).job) == ["1"]
    assert stores.start(job, "join", token="t2") is Outcome.NOT_READY
    assert stores.start(job, "1", token="t2") is Outcome.APPLIED
    assert stores.finish(job, "1", token="t2", audio=parts[1]) is Outcome.APPLIED
    assert stores.start(job, "join", token="t2") is Outcome.APPLIED


def test_jobs_are_listed_newest_first_in_pages_and_by_state(stores: Stores) -> None:
    jobs = [stores.create() for _ in range(4)]
    stores.on_gateway(lambda gateway: gateway.cancel(jobs[1].id))

    async def pages(gateway: AsyncJobStore) -> list[list[str]]:
        first = await gateway.page("default", state=None, before=None, limit=2)
        second = await gateway.page("default", state=None, before=first[-1].job.id, limit=2)
        cancelled = await gateway.page("default", state=JobState.CANCELLED, before=None, limit=1)
        return [[view.job.id for view in page] for page in (first, second, cancelled)]

    ids = [job.id for job in jobs]
    assert stores.on_gateway(pages) == [ids[3:1:-1], ids[1::-1], [ids[1]]]


def test_a_tenant_s_list_has_its_own_jobs_until_they_are_removed(stores: Stores) -> None:
    theirs, ours = f"t{uuid.uuid4().hex}", f"t{uuid.uuid4().hex}"
    stores.create(tenant=theirs)
    one, two = (stores.create(tenant=ours) for _ in range(2))
    audio = audio_of()
    stores.start(one)
    stores.finish(one, audio=audio)

    async def listed(gateway: AsyncJobStore) -> list[list[str]]:
        states = (None, JobState.QUEUED, JobState.SUCCEEDED, JobState.RUNNING)
        pages = [await gateway.page(ours, state=state, before=None, limit=9) for state in states]
        await gateway.remove(one.id)
        left = [await gateway.page(ours, state=state, before=None, limit=9) for state in (None, JobState.SUCCEEDED)]
        return [[view.job.id for view in page] for page in [*pages, *left]]

    assert stores.on_gateway(listed) == [[two.id, one.id], [two.id], [one.id], [], [two.id], []]


def test_two_tenants_never_meet_at_one_idempotency_key(stores: Stores) -> None:
    key = uuid.uuid4().hex
    one, two, other = new_job(tenant="one"), new_job(tenant="two"), new_job(tenant="one")
    odd = new_job()  # of `default`, whose keys have no prefix

    async def made(gateway: AsyncJobStore) -> list[Recorded | str]:
        keys = [(one, key), (two, key), (odd, f"tenant:one:{key}"), (other, key)]
        places = [await gateway.create(job, REQUEST, key=its, fingerprint=job.tenant) for job, its in keys]
        await gateway.refuse(two, key=key)
        await gateway.forget_key("two", key, one.id)
        return [*places, await gateway.create(new_job(tenant="one"), REQUEST, key=key, fingerprint="one")]

    places = cast(list[Recorded | str], stores.on_gateway(made))
    assert [place if isinstance(place, str) else "new" for place in places] == ["new", "new", "new", one.id, one.id]


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


def loads(stores: Stores) -> dict[Lane, LaneLoad]:
    return cast("dict[Lane, LaneLoad]", stores.on_gateway(lambda gateway: gateway.loads()))


def test_workers_are_warm_from_when_they_say_so_until_they_say_otherwise(stores: Stores) -> None:
    before = loads(stores)
    for worker, lane in (("one:1", Lane.BULK), ("two:1", Lane.BULK), ("three:1", Lane.STANDIN)):
        stores.worker.present(worker, lane, warm=True, busy=False, seconds=30)
    stores.worker.present("one:1", Lane.BULK, warm=True, busy=True, seconds=30)

    now = loads(stores)
    assert [now[lane].warm_workers - before[lane].warm_workers for lane in Lane] == [0, 2, 0, 1]

    stores.worker.present("one:1", Lane.BULK, warm=False, busy=True, seconds=30)
    assert loads(stores)[Lane.BULK].warm_workers == before[Lane.BULK].warm_workers + 1


def test_who_stands_in_is_announced_beside_the_engine(stores: Stores) -> None:
    other = replace(CATALOGUE, engine="plain")
    stores.worker.announce(CATALOGUE)
    stores.worker.announce(other, stand_in=True)

    assert stores.on_gateway(lambda gateway: gateway.catalogue()) == CATALOGUE
    assert stores.on_gateway(lambda gateway: gateway.catalogue(stand_in=True)) == other


def test_the_segments_of_a_stand_in_wait_in_its_lane(stores: Stores) -> None:
    before = {lane: load.waiting for lane, load in loads(stores).items()}

    stores.create(stand_in="spoken by another engine")

    now = loads(stores)
    assert [now[lane].waiting - before[lane] for lane in Lane] == [0, 0, 0, 1]

"""What a tenant may use: the same rules in memory and in a real Redis, and the token bucket."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest

from cli.stack.servers import LocalServers
from shared import jobs as lifecycle
from shared.errors import QuotaExceeded
from shared.job_store import RedisJobStore
from shared.jobs import Job
from shared.limits import Limits, Quota, Taken
from shared.ports import AsyncJobStore, Recorded
from shared.quotas import AUDIO, CHARACTERS, charge
from shared.sweep_store import RedisSweepStore
from shared.tenants import RedisTenants
from tests.shared.test_job_store_contract import REQUEST, Stores, audio_of, new_job, on_redis
from tests.shared.test_job_store_contract import stores as stores  # noqa: PLC0414 - the fixture, for this module too

T = TypeVar("T")


def theirs(**fields: object) -> Job:
    fields = {"tenant": f"t{uuid.uuid4().hex[:12]}", "estimated_seconds": 2.0} | fields
    return new_job(**fields)


def another(job: Job, **fields: object) -> Job:
    return theirs(tenant=job.tenant, **fields)


def taken(stores: Stores, job: Job, limits: Limits, *, key: str = "") -> Recorded | str:
    async def created(gateway: AsyncJobStore) -> Recorded | str:
        return await gateway.create(job, REQUEST, key=key, fingerprint="same", limits=limits)

    recorded = stores.on_gateway(created)
    assert isinstance(recorded, (Recorded, str))
    return recorded


def used(stores: Stores, job: Job) -> dict[Quota, int]:
    """Return what the job's tenant has used, by a job that fits into anything."""
    most = Limits(characters_per_day=10**9, audio_seconds_per_day=10**6, concurrent_jobs=10**6, stored_bytes=10**12)
    probe = another(job, characters=0, estimated_seconds=0.0)
    recorded = taken(stores, probe, most)
    assert isinstance(recorded, Recorded)
    stores.on_gateway(lambda gateway: gateway.cancel(probe.id))
    return recorded.used


@pytest.mark.parametrize(
    ("limits", "quota", "told"),
    [
        (Limits(characters_per_day=20), Quota.CHARACTERS, (20, 16, 8)),
        (Limits(audio_seconds_per_day=5.5), Quota.AUDIO, (5.5, 4.0, 2.0)),
        (Limits(concurrent_jobs=2), Quota.JOBS, (2, 2, 1)),
    ],
)
def test_a_job_that_is_more_than_is_left_is_refused_and_uses_nothing(
    stores: Stores, limits: Limits, quota: Quota, told: tuple[float, float, float]
) -> None:
    one, two, three = (first := theirs()), another(first), another(first)
    for job in (one, two):
        assert isinstance(taken(stores, job, limits), Recorded)

    with pytest.raises(QuotaExceeded) as refused:
        taken(stores, three, limits, key="k")

    error = refused.value
    assert (error.quota, (error.limit, error.used, error.wanted)) == (quota, told)
    assert stores.worker.load(three.id, "0") is None
    assert used(stores, one) == {Quota.CHARACTERS: 16, Quota.AUDIO: 4_000_000, Quota.JOBS: 2, Quota.STORAGE: 0}
    assert isinstance(taken(stores, three, Limits(), key="k"), Recorded)  # its key was not used up either


def test_what_is_kept_may_be_up_to_the_limit(stores: Stores) -> None:
    job = theirs()
    limits = Limits(stored_bytes=10)
    taken(stores, job, limits)
    stores.start(job)
    stores.finish(job, audio=audio_of())  # of ten bytes

    with pytest.raises(QuotaExceeded) as refused:
        taken(stores, another(job), limits)

    assert (refused.value.quota, refused.value.used) == (Quota.STORAGE, 10)


def test_a_request_that_comes_again_is_not_counted_again(stores: Stores) -> None:
    job = theirs()
    limits = Limits(concurrent_jobs=1, characters_per_day=8)
    taken(stores, job, limits, key="again")

    assert taken(stores, another(job), limits, key="again") == job.id


def test_one_tenant_does_not_use_up_what_another_may_have(stores: Stores) -> None:
    limits = Limits(concurrent_jobs=1)

    assert isinstance(taken(stores, theirs(), limits), Recorded)
    assert isinstance(taken(stores, theirs(), limits), Recorded)


def test_a_job_that_ends_counts_for_its_audio_as_it_is(stores: Stores) -> None:
    job = theirs()
    taken(stores, job, Limits())
    stores.start(job)
    stores.finish(job, audio=audio_of())  # of 1.5 s

    assert used(stores, job) == {Quota.CHARACTERS: 8, Quota.AUDIO: 1_500_000, Quota.JOBS: 0, Quota.STORAGE: 10}


def test_a_cancelled_job_gives_back_what_was_not_spoken(stores: Stores) -> None:
    job = theirs(long=True, segments_total=4)
    taken(stores, job, Limits())
    stores.start(job, "0")
    stores.finish(job, "0", audio=audio_of())

    stores.on_gateway(lambda gateway: gateway.cancel(job.id))

    assert used(stores, job) == {Quota.CHARACTERS: 2, Quota.AUDIO: 500_000, Quota.JOBS: 0, Quota.STORAGE: 10}


def test_a_failed_job_gives_all_back_and_takes_it_again_when_it_is_tried_again(stores: Stores) -> None:
    job = theirs()
    taken(stores, job, Limits())
    failure = lifecycle.Failure("engine_failed", "it failed")
    stores.start(job)
    stores.decided(job, "0", partial(lifecycle.fail, token="t1", now=time.time(), failure=failure))
    failed = used(stores, job)

    stores.on_gateway(lambda gateway: gateway.reopen(job.id))

    assert failed[Quota.CHARACTERS] == failed[Quota.AUDIO] == failed[Quota.JOBS] == 0
    assert used(stores, job)[Quota.CHARACTERS] == 8


def test_what_is_kept_is_given_back_when_it_is_removed(stores: Stores) -> None:
    job = theirs()
    taken(stores, job, Limits())
    stores.start(job)
    stores.finish(job, audio=audio_of())

    stores.on_gateway(lambda gateway: gateway.remove(job.id))

    assert used(stores, job)[Quota.STORAGE] == 0


def line_of(tenant: str) -> Job:
    """Return a line of a batch."""
    return theirs(tenant=tenant, parent=str(uuid.uuid4()))


def test_lines_of_batches_are_open_until_they_end(stores: Stores) -> None:
    limits, tenant = Limits(open_lines=2), f"t{uuid.uuid4().hex[:12]}"
    first, second = line_of(tenant), line_of(tenant)
    taken(stores, first, limits)
    taken(stores, second, limits)
    with pytest.raises(QuotaExceeded, match="open_lines is used up: 2 of 2"):
        taken(stores, line_of(tenant), limits)

    stores.start(first)
    stores.finish(first, audio=audio_of())
    third = taken(stores, line_of(tenant), limits)
    stores.on_gateway(lambda gateway: gateway.remove(second.id))  # which nobody had begun
    fourth = taken(stores, line_of(tenant), limits)

    assert [one.used[Quota.LINES] for one in (third, fourth) if isinstance(one, Recorded)] == [1, 1]
    with pytest.raises(QuotaExceeded):
        taken(stores, line_of(tenant), limits)


def test_a_job_that_is_no_line_is_not_counted_as_one(stores: Stores) -> None:
    limits, line = Limits(open_lines=1), line_of(f"t{uuid.uuid4().hex[:12]}")
    chapter = replace(line_of(line.tenant), kind=lifecycle.JobKind.CHAPTER)

    for job in (line, another(line), another(line), chapter):
        assert isinstance(taken(stores, job, limits), Recorded)


@pytest.mark.integration
def test_what_is_kept_is_given_back_when_the_job_expires(servers: LocalServers) -> None:
    stores = Stores(RedisJobStore(redis_url(servers)), partial(on_redis, redis_url(servers)))
    job = theirs(keep_seconds=0.0)
    taken(stores, job, Limits())
    stores.start(job)
    stores.finish(job, audio=audio_of())
    kept = used(stores, job)[Quota.STORAGE]

    RedisSweepStore(redis_url(servers)).expire(job.id, now=time.time() + 1)

    assert (kept, used(stores, job)[Quota.STORAGE]) == (10, 0)


def redis_url(servers: LocalServers) -> str:
    return servers.environment()["EMOTIVOICE_REDIS_URL"]


def test_an_expired_job_counts_for_its_day_as_before() -> None:
    spoken = replace(theirs(), state=lifecycle.JobState.SUCCEEDED, finished_at=2.0, audio_seconds=1.5, segments_done=1)

    assert charge(spoken.expired(now=3.0)) == charge(spoken) == {CHARACTERS: 8, AUDIO: 1_500_000}


def asked(servers: LocalServers, ask: Callable[[RedisTenants], Awaitable[T]]) -> T:
    async def on_tenants() -> T:
        tenants = RedisTenants(redis_url(servers))
        try:
            return await ask(tenants)
        finally:
            await tenants.close()

    return asyncio.run(on_tenants())


@pytest.mark.integration
def test_a_bucket_gives_a_seconds_worth_at_once_and_says_when_the_next_comes(servers: LocalServers) -> None:
    async def burst(tenants: RedisTenants) -> list[Taken]:
        tenant = uuid.uuid4().hex
        first = [await tenants.take(tenant, rate=4, burst=4) for _ in range(5)]
        await asyncio.sleep(first[-1].wait_seconds)
        return [*first, await tenants.take(tenant, rate=4, burst=4)]

    tokens = asked(servers, burst)

    assert [token.granted for token in tokens] == [True] * 4 + [False, True]
    assert [token.left for token in tokens[:4]] == [3, 2, 1, 0]
    assert 0 < tokens[4].wait_seconds <= 0.25


@pytest.mark.integration
def test_many_at_once_get_no_more_than_the_bucket_holds(servers: LocalServers) -> None:
    async def rush(tenants: RedisTenants) -> list[Taken]:
        tenant = uuid.uuid4().hex
        return await asyncio.gather(*(tenants.take(tenant, rate=0.1, burst=7) for _ in range(40)))

    assert sum(token.granted for token in asked(servers, rush)) == 7


@pytest.mark.integration
def test_a_tenants_own_limits_are_kept_until_they_are_reset(servers: LocalServers) -> None:
    async def changed(tenants: RedisTenants) -> list[object]:
        name = uuid.uuid4().hex
        await tenants.set(name, {"concurrent_jobs": 3})
        set_to = await tenants.own(name), (await tenants.all())[name]
        return [*set_to, await tenants.reset(name), await tenants.own(name), await tenants.reset(name)]

    assert asked(servers, changed) == [{"concurrent_jobs": 3}, {"concurrent_jobs": 3}, True, {}, False]

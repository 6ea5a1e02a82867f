"""Quotas as a client meets them."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.settings import GatewaySettings
from shared.jobs import NO_TENANT
from tests.gateway.conftest import World, world_with


@pytest.fixture
def limited() -> Iterator[World]:
    settings = GatewaySettings(quota_characters_per_day=10, quota_concurrent_jobs=3)
    with world_with(settings) as world:
        yield world


def test_without_limits_no_header_speaks_of_them(world: World) -> None:
    answer = world.client.post("/v1/jobs", json={"text": "Hello"})

    assert answer.status_code == 202
    assert not {"ratelimit", "ratelimit-policy"} & set(answer.headers)


def test_an_accepted_job_tells_what_is_left(limited: World) -> None:
    answer = limited.client.post("/v1/jobs", json={"text": "Hello"})

    characters, jobs = answer.headers["RateLimit"].split(", ")
    until_midnight = 86400 - time.time() % 86400
    assert characters.startswith('"characters_per_day";r=5;t=')
    assert int(characters.partition(";t=")[2]) == pytest.approx(until_midnight, abs=3)
    assert jobs == '"concurrent_jobs";r=2'
    assert answer.headers["RateLimit-Policy"] == (
        '"characters_per_day";q=10;w=86400;qu="characters", "concurrent_jobs";q=3;qu="concurrent-jobs"'
    )


def test_a_job_too_many_is_told_which_quota_and_when_to_come_again(limited: World) -> None:
    limited.submit("Hello")

    answer = limited.client.post("/v1/jobs", json={"text": "Hello!"})

    assert answer.status_code == 429
    problem = answer.json()
    assert problem["code"] == "quota_exceeded"
    assert (problem["quota"], problem["limit"], problem["used"]) == ("characters_per_day", 10, 5)
    assert int(answer.headers["Retry-After"]) == pytest.approx(86400 - time.time() % 86400, abs=3)
    assert answer.headers["RateLimit"].startswith('"characters_per_day";r=5;')
    assert not limited.queue.messages[1:]


def test_who_wants_more_than_a_days_worth_is_not_told_to_come_again(limited: World) -> None:
    answer = limited.client.post("/v1/jobs", json={"text": "Hello, hello"})

    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers


def test_who_has_too_many_jobs_is_told_when_one_of_them_ends(limited: World) -> None:
    for _ in range(3):
        limited.submit("Hi")

    answer = limited.client.post("/v1/jobs", json={"text": "Hi"})

    assert (answer.status_code, answer.json()["quota"]) == (429, "concurrent_jobs")
    assert answer.headers["Retry-After"] == "2"  # what a step takes


def test_who_keeps_too_much_is_told_when_some_of_it_goes() -> None:
    with world_with(GatewaySettings(quota_stored_bytes=10)) as world:
        job = world.succeed(world.submit("Hello"))
        world.records.jobs[job.id] = replace(job, stored_bytes=10)
        world.tenants.expiry = time.time() + 100

        answer = world.client.post("/v1/jobs", json={"text": "Hello"})

    assert (answer.status_code, answer.json()["quota"]) == (429, "stored_bytes")
    assert int(answer.headers["Retry-After"]) == pytest.approx(100, abs=2)


def test_requests_take_tokens_whatever_they_ask_for(world: World) -> None:
    world.tenants.limits[NO_TENANT] = {"requests_per_second": 2}
    world.tenants.tokens = 2

    answers = [world.client.get("/v1/jobs") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit"] for answer in answers[:2]] == [
        '"requests_per_second";r=1;t=1',
        '"requests_per_second";r=0;t=1',
    ]
    assert answers[2].headers["RateLimit-Policy"] == '"requests_per_second";q=2;w=1'
    assert (answers[2].json()["code"], answers[2].json()["quota"]) == ("quota_exceeded", "requests_per_second")
    assert answers[2].headers["Retry-After"] == "1"
    assert world.client.get("/healthz").status_code == 200  # a supervisor has no quota


def test_a_tenants_own_limit_comes_before_the_usual_one(limited: World) -> None:
    limited.tenants.limits[NO_TENANT] = {"characters_per_day": 0}

    assert limited.client.post("/v1/jobs", json={"text": "Much more than ten"}).status_code == 202


def test_while_the_limits_are_not_known_nobody_has_a_free_pass(world: World) -> None:
    world.tenants.away = True

    answer = world.client.post("/v1/jobs", json={"text": "Hello"})

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert not world.records.jobs

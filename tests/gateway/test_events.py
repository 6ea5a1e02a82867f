"""What a listener of a job hears, on in-memory ports."""

from dataclasses import replace
from typing import cast

import fastapi.routing
import pytest
from fastapi import FastAPI

from shared.errors import StoreUnavailable
from shared.jobs import Failure, JobState
from shared.ports import JobNews
from tests.gateway.conftest import World
from tests.listening import heard, listening


def test_a_listener_hears_what_was_and_what_comes_until_the_end(world: World) -> None:
    job_id = world.submit()
    with listening(world.client, job_id) as (answer, events):
        first = next(events)
        world.succeed(job_id)
        rest = list(events)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-cache", "no")
    assert first.name == "job.queued"
    assert first.data["progress"] == {"segments_done": 0, "segments_total": 1}
    assert [event.name for event in rest] == ["job.succeeded"]
    assert rest[0].data["links"] == {"self": f"/v1/jobs/{job_id}", "audio": f"/v1/jobs/{job_id}/audio"}


def test_a_job_that_ended_long_ago_is_told_at_once(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)

    assert [event.name for event in heard(world.client, job_id)] == ["job.succeeded"]


def test_a_failure_is_told_with_its_code(world: World) -> None:
    job_id = world.submit()
    world.records.jobs[job_id] = world.records.jobs[job_id].failed(Failure("engine_failed", "it broke"), now=2)

    (event,) = heard(world.client, job_id)

    assert (event.name, event.data["state"]) == ("job.failed", "failed")
    assert event.data["error"] == {"code": "engine_failed", "message": "it broke"}
    assert event.data["links"]["audio"] is None


@pytest.mark.parametrize("how", ["after", "query"])
def test_whoever_comes_again_hears_the_rest(world: World, how: str) -> None:
    job_id = world.submit()
    with listening(world.client, job_id) as (_, events):
        seen = next(events)
    world.succeed(job_id)

    assert [event.name for event in heard(world.client, job_id, **{how: seen.id})] == ["job.succeeded"]


def test_whoever_has_heard_the_end_is_told_not_to_come_again(world: World) -> None:
    job_id = world.submit()
    world.succeed(job_id)
    (last,) = heard(world.client, job_id)

    with listening(world.client, job_id, after=last.id) as (answer, _):
        assert (answer.status_code, answer.read()) == (204, b"")


def test_there_are_no_events_of_a_job_that_is_not_there(world: World) -> None:
    with listening(world.client, "0" * 36) as (answer, _):
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "job_not_found" in answer.read().decode()


@pytest.mark.parametrize("after", ["x", "1-", "99999999999999999999-0", "1-1\t"])
def test_an_id_that_is_none_of_ours_is_refused(world: World, after: str) -> None:
    with listening(world.client, world.submit(), after=after) as (answer, _):
        assert answer.status_code == 422


def test_the_stream_of_a_job_that_is_removed_ends(world: World) -> None:
    job_id = world.submit()
    with listening(world.client, job_id) as (_, events):
        next(events)
        del world.records.jobs[job_id]

        assert list(events) == []


def test_a_stream_ends_when_the_gateway_leaves(world: World) -> None:
    job_id = world.submit()
    with listening(world.client, job_id) as (_, events):
        next(events)
        cast(FastAPI, world.client.app).state.leaving = lambda: True

        assert list(events) == []


def test_a_silent_stream_is_kept_alive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.01)
    with world.client.stream("GET", f"/v1/jobs/{world.submit()}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry: ")
        assert ": ping" in [next(lines) for _ in range(8)]


def test_a_listener_sits_out_an_outage_of_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, outages, news = world.submit(), [1, 2, 3], world.jobs.news

    async def failing(job_id: str, *, after: str = "") -> list[JobNews] | None:
        if after and outages:
            outages.pop()
            raise StoreUnavailable
        return await news(job_id, after=after)

    monkeypatch.setattr(world.jobs, "news", failing)
    with listening(world.client, job_id) as (_, events):
        next(events)
        world.records.jobs[job_id] = replace(world.records.jobs[job_id], state=JobState.CANCELLED)

        assert [event.name for event in events] == ["job.cancelled"]
    assert not outages


def test_openapi_tells_what_an_event_carries(world: World) -> None:
    document = world.client.get("/openapi.json").json()

    content = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]
    assert "JobEvent" in str(content["text/event-stream"]["itemSchema"])

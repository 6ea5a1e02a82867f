"""What a request's trace is called, and that there is none by default."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from gateway.main import application
from gateway.settings import GatewaySettings
from shared import tracing
from tests.collector import Collector
from tests.gateway.conftest import World


@pytest.fixture
def traced(world: World) -> Iterator[tuple[TestClient, Collector]]:
    """The same gateway, with traces."""
    with Collector() as collector:
        tracing.start(GatewaySettings(otlp_endpoint=collector.url), "gateway")
        app = application(world.settings)
        app.state.services = cast(Any, world.client.app).state.services
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client, collector
        tracing.stop()


def test_by_default_an_answer_names_no_trace_and_a_job_has_none(world: World) -> None:
    job_id = world.submit()

    assert "traceresponse" not in world.client.get(f"/v1/jobs/{job_id}").headers
    assert world.records.jobs[job_id].trace == ""


def test_a_job_keeps_the_trace_of_the_request_that_submitted_it(
    world: World, traced: tuple[TestClient, Collector]
) -> None:
    client, _ = traced
    answer = client.post("/v1/jobs", json={"text": "Hello"})

    assert answer.headers["traceresponse"] == world.records.jobs[answer.json()["id"]].trace != ""


def test_a_request_is_named_by_its_route_and_fails_only_by_our_fault(
    world: World, traced: tuple[TestClient, Collector]
) -> None:
    client, collector = traced
    client.get("/v1/jobs/00000000-0000-0000-0000-000000000000?wait=0")
    world.queue.refuses = True
    client.post("/v1/jobs", json={"text": "Hello"})
    client.get("/healthz")
    tracing.stop()

    told = {(span.name, span.attributes["http.response.status_code"], span.failed) for span in collector.spans}
    assert told == {("GET /v1/jobs/{job_id}", 404, False), ("POST /v1/jobs", 503, True)}

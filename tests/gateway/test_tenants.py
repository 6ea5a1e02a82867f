"""Whose a job is, where a proxy in front tells."""

from collections.abc import Iterator

import pytest

from gateway.settings import GatewaySettings
from tests.gateway.conftest import World, world_with


def submitted_by(world: World, headers: dict[str, str]) -> str:
    answer = world.client.post("/v1/jobs", json={"text": "Hello"}, headers=headers)
    assert answer.status_code == 202, answer.text
    return world.records.jobs[answer.json()["id"]].tenant


@pytest.fixture
def behind_a_proxy() -> Iterator[World]:
    with world_with(GatewaySettings(tenant_header="X-Tenant")) as world:
        yield world


def test_a_job_belongs_to_the_tenant_that_the_proxy_names(behind_a_proxy: World) -> None:
    assert submitted_by(behind_a_proxy, {"X-Tenant": "radio-7.example"}) == "radio-7.example"
    assert submitted_by(behind_a_proxy, {}) == "default"
    submitted = 'emotivoice_jobs_submitted_total{lane="interactive",tenant="radio-7.example"}'
    assert submitted in behind_a_proxy.client.get("/metrics").text


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, 'a"b', "a/b"])
def test_what_is_no_name_is_refused(behind_a_proxy: World, name: str) -> None:
    answer = behind_a_proxy.client.post("/v1/jobs", json={"text": "Hello"}, headers={"X-Tenant": name})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_tenant")
    assert behind_a_proxy.records.jobs == {}


def test_without_the_setting_no_header_counts(world: World) -> None:
    assert submitted_by(world, {"X-Tenant": "somebody"}) == "default"

"""Who changed what, in the log."""

import logging
import time

import pytest

from gateway.settings import GatewaySettings
from shared.access import Scope
from shared.api_keys import new_key
from tests.gateway.conftest import world_with

URL = "https://hooks.example/"


def changes(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    lines = [vars(record) for record in caplog.records if record.name == "emotivoice.audit"]
    return [(one["method"], one["path"], one["status"], one["key"]) for one in lines if one["msg"] == "changed"]


def test_a_change_has_a_line_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with world_with(GatewaySettings()) as world:
        job_id = world.submit()
        hook = world.client.post("/v1/webhooks", json={"url": URL}).json()["id"]
        world.client.get(f"/v1/webhooks/{hook}")
        world.client.post("/v1/webhooks", json={"url": "nowhere"})
        world.client.delete(f"/v1/webhooks/{hook}")
        world.client.delete(f"/v1/jobs/{job_id}")

    assert changes(caplog) == [
        ("POST", "/v1/webhooks", 201, ""),
        ("DELETE", f"/v1/webhooks/{hook}", 204, ""),
        ("DELETE", f"/v1/jobs/{job_id}", 200, ""),
    ]


def test_it_names_the_key_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    key, record = new_key("acme", [Scope.SPEECH_WRITE], now=time.time(), keep_seconds=None)
    with world_with(GatewaySettings(api_keys=True)) as world:
        world.keys.add(key, record)
        world.client.post("/v1/webhooks", json={"url": URL}, headers={"Authorization": f"Bearer {key}"})
        world.client.post("/v1/webhooks", json={"url": URL})

    assert changes(caplog) == [("POST", "/v1/webhooks", 201, record.id)]

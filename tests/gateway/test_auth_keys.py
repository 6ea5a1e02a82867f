"""API keys at the gateway, and what is told of tokens and keys: nothing."""

import io
import json
import logging
import time
from collections.abc import Iterator

import pytest

from gateway.auth import keys as gateway_keys
from gateway.settings import GatewaySettings
from shared.access import Scope
from shared.api_keys import ApiKey, digest_of, is_api_key, new_key
from shared.logging import JsonFormatter
from tests.gateway.conftest import World, world_with
from tests.tokens import SECRET, by_secret


class Clock:
    """The time of the gateway's keys, which only a test moves on."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(gateway_keys, "time", clock)
    return clock


@pytest.fixture
def world() -> Iterator[World]:
    with world_with(GatewaySettings(api_keys=True)) as world:
        yield world


def made(world: World, *scopes: Scope, tenant: str = "acme", keep_seconds: float | None = None) -> tuple[str, ApiKey]:
    key, record = new_key(tenant, scopes or [Scope.JOBS_READ], now=time.time(), keep_seconds=keep_seconds)
    world.keys.add(key, record)
    return key, record


def status(world: World, key: str) -> int:
    return world.client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_is_long_random_and_kept_as_a_hash_only() -> None:
    (one, record), (two, _) = (new_key("acme", [Scope.ADMIN], now=0.0) for _ in range(2))

    assert one != two
    assert is_api_key(one)
    assert one.startswith("evk_")
    assert len(one) == 47  # 32 bytes
    assert one not in repr(record)
    assert len(digest_of(one)) == 64


def test_a_key_speaks_for_its_tenant_within_its_scopes(world: World) -> None:
    key, _ = made(world, Scope.SPEECH_WRITE, tenant="radio")
    headers = {"Authorization": f"Bearer {key}"}

    answer = world.client.post("/v1/jobs", json={"text": "Hello"}, headers=headers)

    assert world.records.jobs[answer.json()["id"]].tenant == "radio"
    assert status(world, key) == 403
    assert 'emotivoice_jobs_submitted_total{lane="interactive",tenant="radio"}' in world.client.get("/metrics").text


def test_a_revoked_key_is_refused_after_some_seconds(world: World, clock: Clock) -> None:
    key, _ = made(world)
    assert status(world, key) == 200

    world.keys.keys.clear()
    clock.now += gateway_keys.KEPT_SECONDS - 0.1
    assert status(world, key) == 200
    clock.now += 0.2
    assert status(world, key) == 401
    assert world.keys.looks == 2


def test_an_expired_key_is_refused_at_once(world: World, clock: Clock) -> None:
    key, _ = made(world, keep_seconds=gateway_keys.KEPT_SECONDS / 2)
    assert status(world, key) == 200

    clock.now += gateway_keys.KEPT_SECONDS * 0.6
    answer = world.client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})

    assert (answer.status_code, answer.json()["detail"]) == (401, "the API key has expired")


def test_the_use_of_a_key_is_noted_now_and_then(world: World, clock: Clock) -> None:
    key, record = made(world)
    for _ in range(3):
        status(world, key)
    assert world.keys.uses == [record.id]

    clock.now += gateway_keys.NOTED_SECONDS + 1
    status(world, key)
    assert world.keys.uses == [record.id] * 2


def test_a_key_that_is_nearly_right_is_nobody_s(world: World) -> None:
    key, _ = made(world)
    assert status(world, key) == 200

    last = "A" if key[-1] != "A" else "B"
    assert [status(world, near) for near in (key[:-1], key + "A", key[:-1] + last, key.upper())] == [401] * 4


def test_what_has_not_the_form_of_a_key_is_not_looked_up(world: World) -> None:
    assert [status(world, token) for token in ("evk_", "evk_" + "x" * 500, by_secret())] == [401] * 3
    assert world.keys.looks == 0


def test_tokens_and_keys_may_both_be_taken() -> None:
    settings = GatewaySettings.model_validate({"jwt_secret": SECRET, "api_keys": True})
    with world_with(settings) as world:
        key, _ = made(world)

        assert [status(world, key), status(world, by_secret(iss=None, aud=None))] == [200, 200]


def test_no_token_and_no_key_is_ever_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither when it is taken nor when it is refused nor when something fails beside it."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    try:
        key, _ = made(world, Scope.JOBS_READ, Scope.SPEECH_WRITE)
        token = by_secret(iss=None, aud=None)
        with caplog.at_level(logging.DEBUG):
            answers = [
                world.client.get(path, headers={"Authorization": f"Bearer {secret}"})
                for secret in (key, key[:-2], token, f"{token}x", "a" * 9000)
                for path in ("/v1/jobs", "/v1/jobs/unknown", "/v1/voices", "/nowhere")
            ]
            headers = {"Authorization": f"Bearer {key}"}
            job_id = world.client.post("/v1/jobs", json={"text": "Hello"}, headers=headers).json()["id"]
            world.succeed(job_id)
            world.objects.objects.clear()
            failed = world.client.get(f"/v1/jobs/{job_id}/audio", headers=headers)
    finally:
        logging.getLogger().removeHandler(handler)

    assert {answer.status_code for answer in answers} == {200, 401, 404}
    assert failed.status_code == 503
    assert "the audio of a job is lost" in told.getvalue()
    said = told.getvalue() + caplog.text + "".join(answer.text + str(answer.headers) for answer in [*answers, failed])
    parts = {key[:-2], key[4:20], digest_of(key), *token.split("."), "a" * 50}
    assert [part for part in parts if part in said] == []


def test_a_line_of_the_log_names_the_caller_s_tenant(world: World, caplog: pytest.LogCaptureFixture) -> None:
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("gateway.delivery")
    logger.addHandler(handler)
    key, _ = made(world, Scope.JOBS_READ, Scope.SPEECH_WRITE, tenant="radio")
    headers = {"Authorization": f"Bearer {key}"}
    try:
        job_id = world.client.post("/v1/jobs", json={"text": "Hello"}, headers=headers).json()["id"]
        world.succeed(job_id)
        world.objects.objects.clear()
        assert world.client.get(f"/v1/jobs/{job_id}/audio", headers=headers).status_code == 503
    finally:
        logger.removeHandler(handler)

    assert {json.loads(line)["tenant"] for line in told.getvalue().splitlines()} == {"radio"}

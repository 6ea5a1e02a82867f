"""Two tenants on one service: a gateway that asks for keys and tokens, before real servers and workers."""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from audio.encoding import decode
from cli import main
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process
from shared.redis_clients import patient_client
from tests.integration.conftest import RunningFleet, stopped
from tests.tokens import SECRET, by_secret
from tests.waiting import wait_for

pytestmark = pytest.mark.integration


def token(**claims: Any) -> str:
    usual: dict[str, Any] = {"iss": None, "aud": None}
    return by_secret(**usual | claims)


@dataclass(frozen=True)
class Gateway:
    """Another gateway of the same fleet, that lets nobody in unknown."""

    url: str
    log: Path
    fleet: RunningFleet

    def keys(self, *arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main.app, ["keys", *arguments], env=self.fleet.servers.environment())
        assert result.exit_code == code, result.output
        return result

    def new_key(self, tenant: str, *options: str) -> dict[str, Any]:
        return json.loads(self.keys("create", "--tenant", tenant, *options, "--json").stdout)

    def redis(self) -> Any:
        return patient_client(self.fleet.servers.environment()["EMOTIVOICE_REDIS_URL"])

    def caller(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=40)


@pytest.fixture
def gateway(fleet: RunningFleet, tmp_path: Path) -> Iterator[Gateway]:
    (port,) = free_ports(1)
    settings = {
        "EMOTIVOICE_GATEWAY_HOST": LOOPBACK,
        "EMOTIVOICE_GATEWAY_PORT": str(port),
        "EMOTIVOICE_JWT_SECRET": SECRET,
        "EMOTIVOICE_API_KEYS": "true",
        "EMOTIVOICE_LOG_LEVEL": "DEBUG",
    }
    environment = {**os.environ, **fleet.servers.environment(), **settings}
    log = tmp_path / "gateway.log"
    command = Command([sys.executable, "-m", "gateway"], log, environment, CODE_FOLDER)
    process = Process("gateway", command, answers=lambda: http_ok(port, "/readyz"))
    process.start()
    yield Gateway(f"http://{LOOPBACK}:{port}", log, fleet)
    process.stop()


def spoken(caller: httpx.Client, text: str, **headers: str) -> dict[str, Any]:
    submitted = caller.post("/v1/jobs", json={"text": text}, headers=headers)
    assert submitted.status_code == 202, submitted.text
    job = caller.get(f"/v1/jobs/{submitted.json()['id']}?wait=30").json()
    assert job["state"] == "succeeded", job
    return job


def test_each_tenant_has_its_own_jobs_from_the_request_to_the_audio(gateway: Gateway) -> None:
    ours, theirs = f"t{uuid.uuid4().hex}", f"t{uuid.uuid4().hex}"
    key = gateway.new_key(ours)["key"]
    repeated = {"Idempotency-Key": uuid.uuid4().hex}
    with gateway.caller(key) as we, gateway.caller(token(tenant=theirs)) as they:
        our_job = spoken(we, f"Ours, {uuid.uuid4()}.", **repeated)
        their_job = spoken(they, f"Theirs, {uuid.uuid4()}.", **repeated)

        for caller, mine, other in ((we, our_job, their_job), (they, their_job, our_job)):
            assert [job["id"] for job in caller.get("/v1/jobs").json()["jobs"]] == [mine["id"]]
            assert [job["id"] for job in caller.get("/v1/jobs?state=succeeded").json()["jobs"]] == [mine["id"]]
            assert decode(caller.get(f"/v1/jobs/{mine['id']}/audio").content).seconds > 0.5
            for path in ("", "?wait=5", "/audio", "/timings"):
                assert caller.get(f"/v1/jobs/{other['id']}{path}").status_code == 404
            assert caller.delete(f"/v1/jobs/{other['id']}").status_code == 404

        assert we.delete(f"/v1/jobs/{our_job['id']}").status_code == 204
        assert we.get("/v1/jobs").json()["jobs"] == []
        assert they.get(f"/v1/jobs/{their_job['id']}/audio").status_code == 200
        they.delete(f"/v1/jobs/{their_job['id']}")
    store = gateway.redis()
    assert [name for tenant in (ours, theirs) for name in store.scan_iter(f"*{tenant}*:jobs*")] == []


def test_the_same_text_of_two_tenants_is_stored_once_and_stays_with_the_second(gateway: Gateway) -> None:
    text = f"Said by both, {uuid.uuid4()}."
    with (
        gateway.caller(token(tenant="one")) as one,
        gateway.caller(token(tenant="two")) as two,
    ):
        first, second = spoken(one, text), spoken(two, text)
        assert one.delete(f"/v1/jobs/{first['id']}").status_code == 204

        assert two.get(f"/v1/jobs/{second['id']}/audio").status_code == 200


def test_jobs_without_a_tenant_are_those_of_default(gateway: Gateway) -> None:
    """They may be from before there were tenants, or from a gateway that asks nobody."""
    job_id = gateway.fleet.api.spoken(f"Of nobody, {uuid.uuid4()}.")["id"]
    with gateway.caller(token(tenant="default")) as default:
        assert default.get("/v1/jobs?limit=1").json()["jobs"][0]["id"] == job_id
    with gateway.caller(token(tenant="ops", scope="admin")) as admin:
        assert admin.get("/v1/jobs?limit=1&tenant=default").json()["jobs"][0]["id"] == job_id
        assert admin.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_a_key_is_made_listed_used_and_revoked(gateway: Gateway) -> None:
    made = gateway.keys(
        "create", "--tenant", "radio", "--scopes", "jobs:read", "--expires", "90d", "--note", "the [news]"
    )
    key = made.stdout.strip()
    key_id = made.stderr.split()[1]
    assert "radio: jobs:read, until 20" in made.stderr
    with gateway.caller(key) as caller:
        assert caller.get("/v1/jobs").status_code == 200
        assert caller.post("/v1/jobs", json={"text": "Hello"}).json()["scope"] == "speech:write"

        listed = {one["id"]: one for one in json.loads(gateway.keys("list", "--json").stdout)}[key_id]
        assert (listed["tenant"], listed["scopes"], listed["note"]) == ("radio", ["jobs:read"], "the [news]")
        assert (listed["used_at"] is not None, listed["expired"]) == (True, False)
        table = gateway.keys("list").stdout
        assert key_id in table
        assert "the [news]" in table
        assert key not in table

        assert gateway.keys("revoke", key_id).stdout == f"revoked {key_id}\n"
        revoked = time.monotonic()
        wait_for(lambda: caller.get("/v1/jobs").status_code == 401)
        assert time.monotonic() - revoked < 7
    assert key_id not in gateway.keys("list").stdout
    assert f"there is no key '{key_id}'" in gateway.keys("revoke", key_id, code=1).stderr


def test_redis_has_no_key_and_the_log_neither(gateway: Gateway) -> None:
    key, good = gateway.new_key("acme")["key"], token()
    for one in (key, f"{key[:-1]}_", good, f"{good}x"):
        with gateway.caller(one) as caller:
            caller.get("/v1/jobs")
            caller.get(f"/v1/jobs/{uuid.uuid4()}/audio")
    stored = str(gateway.redis().hgetall("api_keys"))
    written = gateway.log.read_text()

    assert "acme" in stored
    assert '"level"' in written
    assert [part for part in (key[4:], *good.split(".")) if part in stored + written] == []


def test_the_command_uses_a_key(gateway: Gateway, tmp_path: Path) -> None:
    made = gateway.new_key("acme")
    url = {"EMOTIVOICE_URL": gateway.url}
    output = tmp_path / "hello.wav"

    said = CliRunner().invoke(
        main.app, ["say", f"Hello, {uuid.uuid4()}.", "-o", str(output)], env=url | {"EMOTIVOICE_TOKEN": made["key"]}
    )
    unknown = CliRunner().invoke(main.app, ["jobs"], env=url)
    short = CliRunner().invoke(main.app, ["jobs", "--token", token(scope="")], env=url)

    assert said.exit_code == 0, said.output
    assert decode(output.read_bytes()).seconds > 0.5
    assert (unknown.exit_code, "[unauthorized]" in unknown.stderr) == (1, True)
    assert (short.exit_code, "needs the scope jobs:read" in short.stderr) == (1, True)


def test_while_redis_is_away_a_key_can_t_be_told(gateway: Gateway) -> None:
    key = gateway.new_key("acme")["key"]
    with gateway.caller(key) as caller:
        with stopped(gateway.fleet.servers.redis):
            answer = caller.get("/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        wait_for(lambda: caller.get("/v1/jobs").status_code == 200)

"""Schemathesis over the whole OpenAPI document: no request leads to a 5xx, or to an answer that is not described."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.stack.fleet import Fleet
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process
from tests.tokens import SECRET, by_secret

pytestmark = pytest.mark.integration

SEED = "20261128"
FEW = 8
CHECKS = (
    "--checks",
    "all",
    "--exclude-checks",
    # The document can't say which voices there are, that a text is not blank, or which sample rates a format has; the
    # answer does, with a 422. And a DELETE of a job that is not finished cancels it: it is there afterwards.
    "positive_data_acceptance,use_after_free",
)
# A request that is refused is refused at once; one that waits does so for 30 s at most (LONGEST_WAIT_SECONDS).
TIMES = ("--request-timeout", "40")


@pytest.fixture(scope="module")
def own_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet that no other test has: what is made here is made by the thousand, and stays."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMOTIVOICE_ENGINE", "bench.engines:humming")
        with Fleet(tmp_path_factory.mktemp("openapi") / "data") as fleet:
            yield fleet


@contextmanager
def gateway(fleet: Fleet, folder: Path, **settings: str) -> Generator[str]:
    """Another gateway of the fleet, with settings of its own."""
    (port,) = free_ports(1)
    own = {"EMOTIVOICE_GATEWAY_HOST": LOOPBACK, "EMOTIVOICE_GATEWAY_PORT": str(port), **settings}
    environment = {**os.environ, **fleet.servers.environment(), **own}
    command = Command([sys.executable, "-m", "gateway"], folder / "gateway.log", environment, CODE_FOLDER)
    process = Process("gateway", command, answers=lambda: http_ok(port, "/readyz"))
    process.start()
    yield f"http://{LOOPBACK}:{port}"
    process.stop()


@pytest.fixture(params=["without authentication", "with tokens"])
def caller(request: pytest.FixtureRequest, own_fleet: Fleet, tmp_path: Path) -> Iterator[httpx.Client]:
    """Who may do everything, at a gateway that asks nobody or everybody who he is."""
    if request.param == "without authentication":
        with httpx.Client(base_url=own_fleet.url, timeout=40, trust_env=False) as client:
            yield client
        return
    scope = "speech:write jobs:read books:write voices:write"
    token = by_secret(tenant="schemathesis", scope=scope, iss=None, aud=None)
    with (
        gateway(own_fleet, tmp_path, EMOTIVOICE_JWT_SECRET=SECRET) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=40, trust_env=False) as client,
    ):
        yield client


def made(caller: httpx.Client) -> dict[str, list[str]]:
    """Make a few things of each kind, so that requests find something; return their ids."""

    def post(path: str, **body: Any) -> str:
        answer = caller.post(path, **body)
        assert answer.is_success, answer.text
        return answer.json()["id"]

    jobs = [post("/v1/jobs", json={"text": f"Number {n} is spoken."}) for n in range(FEW)]
    hooks = [post("/v1/webhooks", json={"url": "https://hooks.example.com/"}) for _ in range(FEW)]
    books = [post("/v1/books", files={"file": (f"{n}.md", b"# One\n\nIt begins.")}) for n in range(FEW)]
    batches = [post("/v1/batches", files={"file": ("a.jsonl", b'{"text": "A line."}')}) for _ in range(FEW)]
    clip: dict[str, Any] = {"file": ("a.wav", b"no recording"), "options": (None, '{"consent": true}')}
    voices = [post("/v1/voices", files=clip) for _ in range(FEW)]
    for book in books:
        assert caller.get(f"/v1/books/{book}", params={"wait": 20}).json()["state"] == "ready"
    for book in books[::2]:
        assert caller.post(f"/v1/books/{book}/render", json={}).is_success
    (chapter,) = caller.get(f"/v1/books/{books[0]}").json()["chapters"]
    made = {"job_id": jobs, "webhook_id": hooks, "book_id": books, "batch_id": batches, "voice_id": voices}
    return made | {"chapter_id": [chapter["id"]]}


def with_dictionaries(ids: dict[str, list[str]], file: Path) -> Path:
    """Write the configuration by which every other request names one of these."""
    tables = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in ids.items()]
    tables += [f'[parameters."path.{name}"]\ndictionary = "{name}"\nprobability = 0.5' for name in ids]
    file.write_text("\n".join(tables))
    return file


@pytest.mark.timeout(3600)
def test_whatever_is_sent_the_answer_is_as_described(
    caller: httpx.Client, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    config = with_dictionaries(made(caller), tmp_path / "schemathesis.toml")
    program = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "--config-file", str(config), "run"]
    examples = str(pytestconfig.getoption("--examples"))
    options = ["--seed", SEED, "--max-examples", examples, "--generation-database", "none", "--continue-on-failure"]
    key = caller.headers.get("Authorization")
    options += ["--header", f"Authorization: {key}"] if key else []

    ran = subprocess.run(
        [*program, str(caller.base_url.join("/openapi.json")), *options, *CHECKS, *TIMES],
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_hooks",
            "PYTHONPATH": str(CODE_FOLDER),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert "Authentication failed" not in ran.stdout  # a scope that it lacks would hide a whole route

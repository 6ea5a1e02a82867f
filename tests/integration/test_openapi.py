"""Schemathesis over the whole OpenAPI document: no request leads to a 5xx, or to an answer that is not described."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process
from tests.integration.conftest import RunningFleet
from tests.tokens import SECRET, by_secret

pytestmark = pytest.mark.integration

SEED = "20261128"
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


@contextmanager
def gateway(fleet: RunningFleet, folder: Path, **settings: str) -> Generator[str]:
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
def asked(request: pytest.FixtureRequest, fleet: RunningFleet, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a gateway, and what a caller has to send."""
    if request.param == "without authentication":
        yield fleet.fleet.url, []
        return
    claims: dict[str, Any] = {"tenant": "schemathesis", "iss": None, "aud": None}
    with gateway(fleet, tmp_path, EMOTIVOICE_JWT_SECRET=SECRET) as url:
        yield url, ["--header", f"Authorization: Bearer {by_secret(**claims)}"]


@pytest.mark.timeout(3600)
def test_whatever_is_sent_the_answer_is_as_described(
    asked: tuple[str, list[str]], pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    url, headers = asked
    program = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", f"{url}/openapi.json"]
    examples = str(pytestconfig.getoption("--examples"))
    options = ["--seed", SEED, "--max-examples", examples, "--generation-database", "none", "--continue-on-failure"]
    command = [*program, *options, *CHECKS, *TIMES, *headers]

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert "No issues found" in ran.stdout.splitlines()[-1], ran.stdout[
        -20_000:
    ]  # nor a warning of what it never reached

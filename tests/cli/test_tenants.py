"""`emotivoice tenants` on a real Redis."""

import json
import uuid

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.stack.servers import LocalServers

pytestmark = pytest.mark.integration


@pytest.fixture
def name(servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EMOTIVOICE_REDIS_URL", servers.environment()["EMOTIVOICE_REDIS_URL"])
    return f"t{uuid.uuid4().hex[:8]}"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["tenants", *arguments])
    return done.exit_code, done.output


def test_limits_are_set_one_after_the_other_and_reset_together(name: str) -> None:
    assert run("set", name, "--requests-per-second", "0.5", "--stored-bytes", "0") == (
        0,
        f"{name}: requests_per_second 0.5, stored_bytes unlimited\n",
    )
    run("set", name, "--characters-per-day", "2000000")

    own = {"requests_per_second": 0.5, "stored_bytes": 0, "characters_per_day": 2000000}
    assert json.loads(run("list", "--json")[1])[name] == own
    assert run("reset", name) == (0, f"{name} has the usual limits\n")
    assert name not in json.loads(run("list", "--json")[1])


def test_nothing_to_set_and_nobody_to_reset_are_errors(name: str) -> None:
    assert run("set", name)[0] == 2
    assert run("set", "no tenant", "--concurrent-jobs", "1")[0] == 2
    assert run("reset", name)[0] == 1

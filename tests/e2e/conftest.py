"""The whole product with real speech: gateway and workers as processes, the command as another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.stack.fleet import Fleet
from tests.api import Api

COMMAND = Path(sys.executable).with_name("emotivoice")
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Product:
    """A fleet that speaks, its API, and its command."""

    fleet: Fleet
    api: Api

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the command against this fleet, however it ends."""
        environment = {**os.environ, "EMOTIVOICE_URL": self.fleet.url, "NO_COLOR": "1", "COLUMNS": "200"}
        return subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def done(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run the command, which must succeed, and return what it printed."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode()

    @property
    def newest(self) -> str:
        """The id of the newest job."""
        return self.api.http.get("/v1/jobs?limit=1").json()["jobs"][0]["id"]


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMOTIVOICE_ENGINE", "builtin")
        with Fleet(tmp_path_factory.mktemp("product")) as fleet, Api(fleet.url) as api:
            yield Product(fleet, api)

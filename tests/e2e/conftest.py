"""The whole product with real speech: gateway and workers as processes, the command as another."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.stack.fleet import Fleet
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import free_ports, http_ok
from cli.stack.process import Command, Process
from shared.jobs import Lane
from tests.api import Api
from tests.worker.engine.emotivoice.conftest import official_model, reference

__all__ = ["official_model", "reference"]  # fixtures of theirs

COMMAND = Path(sys.executable).with_name("emotivoice")
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Product:
    """A fleet that speaks, its API, and its command."""

    fleet: Fleet
    api: Api

    def run(
        self, *arguments: str | Path, stdin: bytes = b"", seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command against this fleet, however it ends."""
        return subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            timeout=seconds,
            check=False,
        )

    def begun(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Return the command as it runs against this fleet."""
        pipe = subprocess.PIPE
        return subprocess.Popen([COMMAND, *arguments], env=self._environment, stdout=pipe, stderr=pipe)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "EMOTIVOICE_URL": self.fleet.url, "NO_COLOR": "1", "COLUMNS": "200"}

    def done(self, *arguments: str | Path, stdin: bytes = b"", seconds: float = COMMAND_SECONDS) -> str:
        """Run the command, which must succeed, and return what it printed."""
        ended = self.run(*arguments, stdin=stdin, seconds=seconds)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode()

    def new_worker(self, name: str, **settings: str) -> Process:
        """Return another worker of the interactive lane, not started yet; a test names the settings that differ."""
        (port,) = free_ports(1)
        settings = {"EMOTIVOICE_LANE": Lane.INTERACTIVE, "EMOTIVOICE_HEALTH_PORT": str(port), **settings}
        environment = {**os.environ, **self.fleet.servers.environment(), **settings}
        log = self.fleet.servers.folder.log(name)
        command = Command([sys.executable, "-m", "worker"], log, environment, CODE_FOLDER)
        return Process(name, command, answers=lambda: http_ok(port, "/readyz"))

    @property
    def newest(self) -> str:
        """The id of the newest job."""
        return self.api.http.get("/v1/jobs?limit=1").json()["jobs"][0]["id"]


@contextmanager
def running_product(folder: Path, **worker_settings: str) -> Generator[Product]:
    with Fleet(folder, worker_settings=worker_settings) as fleet, Api(fleet.url) as api:
        yield Product(fleet, api)


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # while they start: other tests are of the same process
            patch.setenv("EMOTIVOICE_CLIP_HOSTS", "127.0.0.1/32")  # a server of a test stands for a private store
            folder = tmp_path_factory.mktemp("product")
            running = stack.enter_context(running_product(folder, EMOTIVOICE_ENGINE="builtin"))
        yield running

"""The whole product as child processes: servers, gateway, one worker for each lane, sweeper."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process, check_running, kill_all, stop_all, wait_ready
from cli.stack.servers import LocalServers
from shared.jobs import Lane

DRAIN_SECONDS = 60  # a segment is at most about 60 s of speech, which takes far less to speak
# Two workers that compute on the same cores: with OpenMP's usual policy, by which idle threads spin, each took
# three to five times as long (2 cores, torch 2.13). docs/operations.md.
YIELDING = {"OMP_WAIT_POLICY": "PASSIVE"}
STANDS_IN = {"EMOTIVOICE_ENGINE": "builtin", "EMOTIVOICE_MODEL_DIR": ""}
LOAD_SECONDS = 330  # a worker gives up by itself after LOAD_LIMIT_SECONDS, by default 300, and its log says why


@dataclass(frozen=True)
class Watcher:
    """Who is told of progress, and who may call it off."""

    say: Callable[[str], None] = lambda _: None
    stop_asked: Callable[[], bool] = lambda: False
    hurry: Callable[[], bool] = lambda: False


class Fleet:
    """Servers, gateway, workers and sweeper that start and stop as one."""

    def __init__(  # noqa: PLR0913 - what a stack may be, each by its name
        self,
        folder: Path,
        *,
        port: int | None = None,
        rabbitmq: bool | None = None,
        watcher: Watcher | None = None,
        worker_settings: Mapping[str, str] | None = None,
        management: bool = False,
        stand_in: bool = False,
    ) -> None:
        self.servers = LocalServers(folder, rabbitmq=rabbitmq, management=management)
        lanes = [lane for lane in Lane if stand_in or lane is not Lane.STANDIN]
        gateway_port, self.sweeper_port, *health_ports = free_ports(2 + len(lanes))
        self._watcher = watcher or Watcher()
        self.port = port or gateway_port
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._temporary = self._empty_temporary_folder()
        self.health_ports = dict(zip(lanes, health_ports, strict=True))
        # Without the variable it would look after whatever broker it names, beside ours.
        self.init = self._process("init", "cli init --wait 20", {"EMOTIVOICE_BROKER_ADMIN_URL": ""})
        self.gateway = self._process(
            "gateway",
            "gateway",
            {"EMOTIVOICE_GATEWAY_HOST": LOOPBACK, "EMOTIVOICE_GATEWAY_PORT": str(self.port)},
        )
        self.workers = {lane: self._worker(lane, worker_settings or {}) for lane in lanes}
        self.sweeper = self._process(
            "sweeper",
            "sweeper",
            {
                "EMOTIVOICE_SWEEPER_HEALTH_HOST": LOOPBACK,
                "EMOTIVOICE_SWEEPER_HEALTH_PORT": str(self.sweeper_port),
            },
        )

    @property
    def ours(self) -> list[Process]:
        """The processes that are this product."""
        return [self.gateway, *self.workers.values(), self.sweeper]

    @property
    def processes(self) -> list[Process]:
        return [*self.servers.processes, *self.ours]

    def start(self) -> None:
        """Start everything and wait until it takes work; on failure, leave nothing behind.

        RabbitMQ takes longest to boot, so the others load beside it and connect when it is there.
        """
        try:
            self.servers.launch()
            wait_ready([self.servers.redis, self.servers.s3], stop_asked=self._watcher.stop_asked)
            for process in self.ours:
                process.launch()
            self._wait(self.servers.processes)
            self.init.launch()
            self.init.finish()
            self._wait(self.processes)
        except BaseException:  # Ctrl-C too: nothing may be left running
            self.kill()
            raise

    def check(self) -> None:
        """Raise ProcessDied when any process is gone."""
        check_running(self.processes)

    def stop(self, *, discard: bool = False) -> None:
        """Stop taking work, finish what is in hand, stop the servers: at once when their data is to be discarded."""
        hurry = self._watcher.hurry
        stop_all(self.ours, DRAIN_SECONDS, hurry=hurry)
        self.servers.stop(hurry=lambda: discard or hurry())

    def kill(self) -> None:
        """End everything at once."""
        kill_all([*self.processes, self.init])
        self.servers.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, processes: list[Process]) -> None:
        def tell(waiting: list[str]) -> None:
            if waiting:
                self._watcher.say(f"waiting for {', '.join(waiting)}")

        wait_ready(processes, tell, watched=self.processes, stop_asked=self._watcher.stop_asked)

    def _empty_temporary_folder(self) -> str:
        """Where our processes put temporary files; a killed one leaves its own, which go at the next start."""
        folder = self.servers.folder / "tmp"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return str(folder)

    def _worker(self, lane: Lane, settings: Mapping[str, str]) -> Process:
        settings = {
            "EMOTIVOICE_GRACE_SECONDS": str(DRAIN_SECONDS),
            **settings,
            **(STANDS_IN if lane is Lane.STANDIN else {}),
        }
        health = {"EMOTIVOICE_HEALTH_HOST": LOOPBACK, "EMOTIVOICE_HEALTH_PORT": str(self.health_ports[lane])}
        worker = self._process(f"worker-{lane}", "worker", {**settings, "EMOTIVOICE_LANE": lane.value, **health})
        worker.ready_seconds = LOAD_SECONDS
        return worker

    def _process(self, name: str, program: str, settings: dict[str, str] | None = None) -> Process:
        settings = settings or {}
        command = Command(
            [sys.executable, "-m", *program.split()],
            log=self.servers.folder.log(name),
            environment={**YIELDING, **os.environ, "TMPDIR": self._temporary, **self.servers.environment(), **settings},
            folder=CODE_FOLDER,
            end_with_us="KILL",  # the servers end at the same moment; a message in hand goes back to its queue
        )
        port = int(next((value for key, value in settings.items() if key.endswith("_PORT")), 0))
        return Process(name, command, answers=lambda: http_ok(port, "/readyz"))

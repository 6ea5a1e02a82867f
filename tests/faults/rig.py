"""A fleet to be broken: each process reaches each server through a fault proxy of its own, and is started again."""

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process, kill_all, stop_all, wait_ready
from cli.stack.servers import LocalServers
from shared.jobs import Lane
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings
from shared.topology import declare
from tests.api import children
from tests.engines import GATE
from tests.faults.holding import HOLDS, NAME
from tests.faults.holds import Holds
from tests.faults.proxy import FaultProxy, ProxyLoop
from tests.waiting import wait_for

HEARTBEAT_SECONDS = 2  # of the broker; it gives a silent client up after two to three of them
SETTINGS = {  # all in seconds; short, so that a test need not wait for what happens after minutes otherwise
    "EMOTIVOICE_LEASE_SECONDS": "4",
    "EMOTIVOICE_SWEEP_SECONDS": "1",
    "EMOTIVOICE_PATIENCE_SECONDS": "6",
    "EMOTIVOICE_UPLOAD_SECONDS": "20",
    "EMOTIVOICE_INTERACTIVE_WINDOW": "2",  # so that steps wait for their tenant's turn in every cell
    "EMOTIVOICE_BULK_WINDOW": "2",
    "EMOTIVOICE_ASSEMBLY_WINDOW": "2",
}
DRAIN_SECONDS = 30.0
READY_SECONDS = 60.0  # for everybody to reconnect after a fault
SERVERS = {"rabbitmq": "EMOTIVOICE_BROKER_URL", "redis": "EMOTIVOICE_REDIS_URL", "s3": "EMOTIVOICE_S3_ENDPOINT"}
WORKERS = {"speaker-1": Lane.INTERACTIVE, "speaker-2": Lane.INTERACTIVE, "assembler": Lane.ASSEMBLY}


@dataclass(frozen=True)
class Member:
    """One process of the fleet, and its ways to the servers by their names."""

    name: str
    process: Process
    port: int  # of its HTTP
    proxies: dict[str, FaultProxy]
    temporary: Path

    def launch(self) -> None:
        """Start the process as a supervisor does: with an empty temporary folder."""
        if not self.process.running:
            shutil.rmtree(self.temporary, ignore_errors=True)
            self.temporary.mkdir(parents=True)
            self.process.launch()

    def child(self) -> int:
        """The process id of the worker's child."""
        (child,) = wait_for(lambda: children(self.process.pid))
        return child


class Rig:
    """Servers, gateway, two workers that speak, one that joins, and the sweeper.

    Whatever a test does to them, `mend` brings everything back.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.servers = LocalServers(folder / "data")
        _short_heartbeat(self.servers)
        self.folder = folder
        self.holds = Holds(folder / "holds")
        self.loop = ProxyLoop()
        self._ports = iter(free_ports(40))
        self._guests = count(1)
        self.gateway = self._member("gateway", "gateway", port="EMOTIVOICE_GATEWAY_PORT")
        self.workers = {name: self.new_worker(name, lane) for name, lane in WORKERS.items()}
        self.sweeper = self._sweeper() if importlib.util.find_spec("sweeper") else None

    @property
    def members(self) -> list[Member]:
        return [self.gateway, *self.workers.values(), *([self.sweeper] if self.sweeper else [])]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.gateway.port}"

    def server(self, name: str) -> Process:
        """The process of a server: rabbitmq, redis or s3."""
        processes = {"rabbitmq": self.servers.rabbitmq, "redis": self.servers.redis, "s3": self.servers.s3}
        found = processes[name]
        assert found, "these tests need RabbitMQ"
        return found

    def launch_server(self, name: str) -> None:
        """Start a server again, with its data."""
        self.server(name).launch()

    def ways_to(self, server: str) -> list[FaultProxy]:
        """Everybody's proxies before one server."""
        return [member.proxies[server] for member in self.members]

    def new_worker(self, name: str, lane: Lane, **settings: str) -> Member:
        """Return a worker that is not started; one that is none of `members` is its caller's to end."""
        port = "EMOTIVOICE_HEALTH_PORT"
        return self._member(name, "tests.faults.worker", port=port, EMOTIVOICE_LANE=lane, **settings)

    @contextmanager
    def guest(self, lane: Lane, **settings: str) -> Generator[Member]:
        """Return a worker of one test, not started; at the end of the block it has ended in order."""
        guest = self.new_worker(f"guest-{next(self._guests)}", lane, **settings)
        try:
            yield guest
        finally:
            guest.process.stop()
            for proxy in guest.proxies.values():
                proxy.close()

    def start(self) -> None:
        """Start everything; on failure, leave nothing behind."""
        try:
            self.servers.start()
            self._declare()
            for member in self.members:
                member.launch()
            wait_ready([member.process for member in self.members])
        except BaseException:
            self.kill()
            raise

    def mend(self) -> None:
        """Let everything go on that is held, stopped or cut, start again what has ended, and wait for all of it."""
        self.holds.open_all()
        for process in self._processes():
            if process.running:
                signal_group(process.pid, signal.SIGCONT)
        for member in self.members:
            for proxy in member.proxies.values():
                proxy.heal()
        for name in SERVERS:
            self.launch_server(name)
        for member in self.members:
            member.launch()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until every process takes work, which for the gateway means that every server answers."""
        wait_for(lambda: not self.unready(), seconds=READY_SECONDS)

    def unready(self) -> str:
        return ", ".join(member.name for member in self.members if not http_ok(member.port, "/readyz"))

    def stop(self) -> None:
        """Stop everything, cleanly where that is quick."""
        self.holds.open_all()
        stop_all([member.process for member in self.members], DRAIN_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End everything at once."""
        kill_all(member.process for member in self.members)
        self.servers.kill()
        for member in self.members:
            for proxy in member.proxies.values():
                proxy.close()
        self.loop.stop()

    def _processes(self) -> list[Process]:
        return [*self.servers.processes, *(member.process for member in self.members)]

    def _declare(self) -> None:
        environment = self.servers.environment()
        declare(environment["EMOTIVOICE_BROKER_URL"])
        with pytest.MonkeyPatch.context() as here:
            for name, value in environment.items():
                here.setenv(name, value)
            S3ObjectStore(SharedSettings()).make_bucket()

    def _sweeper(self) -> Member:
        return self._member("sweeper", "sweeper", port="EMOTIVOICE_SWEEPER_HEALTH_PORT")

    def _member(self, name: str, module: str, *, port: str, **settings: str) -> Member:
        number, temporary = next(self._ports), self.folder / "tmp" / name
        proxies, environment = self._ways()
        environment |= {
            "TMPDIR": str(temporary),
            "EMOTIVOICE_ENGINE": "tests.faults.holding:engine",
            **SETTINGS,
            GATE: str(self.folder / "gate"),
            HOLDS: str(self.folder / "holds"),
            NAME: name,
            port: str(number),
            **settings,
        }
        command = Command(
            [sys.executable, "-m", module],
            log=self.servers.folder.log(name),
            environment={**os.environ, **environment},
            folder=CODE_FOLDER,
            end_with_us="KILL",
        )
        process = Process(name, command, answers=lambda: http_ok(number, "/readyz"))
        return Member(name, process, number, proxies, temporary)

    def _ways(self) -> tuple[dict[str, FaultProxy], dict[str, str]]:
        """Return a proxy before each server, and the settings that lead through them."""
        environment, proxies = self.servers.environment(), dict[str, FaultProxy]()
        for server, setting in SERVERS.items():
            server_port = urlsplit(environment[setting]).port
            assert server_port
            proxies[server] = FaultProxy(self.loop, port=next(self._ports), server_port=server_port)
            environment[setting] = environment[setting].replace(f":{server_port}", f":{proxies[server].port}")
        return proxies, environment


@contextmanager
def running_rig(folder: Path) -> Generator[Rig]:
    rig = Rig(folder)
    rig.start()
    try:
        yield rig
    finally:
        rig.stop()


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def _short_heartbeat(servers: LocalServers) -> None:
    """RabbitMQ and its client agree on the shorter of their two heartbeats."""
    config = servers.folder / "rabbitmq" / "advanced.config"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"[{{rabbit, [{{heartbeat, {HEARTBEAT_SECONDS}}}]}}].\n")

"""A real gateway and real workers as processes, with an engine that obeys the text."""

import json
import os
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from cli.stack.fleet import Fleet
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process, check_running, kill_all
from cli.stack.servers import LocalServers
from shared.jobs import NO_TENANT, Lane
from shared.settings import SharedSettings
from shared.tenants import TENANTS
from tests.api import Api, Json
from tests.engines import GATE, Gate
from tests.waiting import wait_for

ANSWERED_WITHIN_SECONDS = 10

_numbers = count(1)


@dataclass(frozen=True)
class Worker:
    """One worker that a test started itself."""

    process: Process
    url: str


@dataclass(frozen=True)
class RunningFleet:
    """The fleet, its API, and the gate at which its engines wait."""

    fleet: Fleet
    api: Api
    gate: Gate
    guests: list[Process] = field(default_factory=list[Process])  # workers of the test that runs

    @property
    def servers(self) -> LocalServers:
        return self.fleet.servers

    @property
    def logs(self) -> Path:
        return self.servers.folder.path / "logs"

    def worker_url(self, lane: Lane) -> str:
        return f"http://{LOOPBACK}:{self.fleet.health_ports[lane]}"

    @property
    def ready(self) -> bool:
        """Whether gateway, workers and sweeper take work."""
        ports = [self.fleet.port, *self.fleet.health_ports.values(), self.fleet.sweeper_port]
        return all(http_ok(port, "/readyz") for port in ports)

    def new_worker(self, lane: Lane = Lane.INTERACTIVE, **settings: str) -> Worker:
        """Return another worker, not started yet; a test names the settings that differ."""
        (port,) = free_ports(1)
        name = f"worker-{lane}-{next(_numbers)}"
        settings = {"EMOTIVOICE_LANE": lane, "EMOTIVOICE_HEALTH_PORT": str(port), **settings}
        environment = {**os.environ, **self.servers.environment(), **settings}
        command = Command([sys.executable, "-m", "worker"], self.servers.folder.log(name), environment, CODE_FOLDER)
        process = Process(name, command, answers=lambda: http_ok(port, "/readyz"))
        self.guests.append(process)
        return Worker(process, f"http://{LOOPBACK}:{port}")

    @contextmanager
    def limits(self, **own: float) -> Generator[None]:
        """Within the block the tenant of the tests has limits of its own, and the gateway knows."""
        redis: Any = cast(Any, Redis).from_url(self.servers.environment()["EMOTIVOICE_REDIS_URL"])
        redis.hset(TENANTS, NO_TENANT, json.dumps({**own, "requests_per_second": 1000}))  # which every answer tells
        try:
            wait_for(lambda: "RateLimit" in self.api.http.get("/v1/batches").headers, every=0.5)
            yield
        finally:
            redis.hdel(TENANTS, NO_TENANT)
            wait_for(lambda: "RateLimit" not in self.api.http.get("/v1/batches").headers, every=0.5)

    @contextmanager
    def without_worker(self, lane: Lane) -> Generator[None]:
        """Within the block nobody works on the lane but whom the test starts."""
        usual = self.fleet.workers[lane]
        usual.stop()
        try:
            yield
        finally:
            self.gate.open()
            kill_all(self.guests)  # what a failed test has left
            usual.start()


@contextmanager
def running_fleet(folder: Path, *, rabbitmq: bool | None = None) -> Generator[RunningFleet]:
    folder.mkdir(parents=True, exist_ok=True)
    gate = Gate(folder / "gate")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMOTIVOICE_ENGINE", "tests.engines:obedient")
        environment.setenv(GATE, str(folder / "gate"))
        with Fleet(folder / "data", rabbitmq=rabbitmq) as fleet, Api(fleet.url) as api:
            yield RunningFleet(fleet, api, gate)


@pytest.fixture(scope="package")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def fleet(shared_fleet: RunningFleet) -> Iterator[RunningFleet]:
    """The fleet of all these tests, with its gate open."""
    shared_fleet.gate.open()
    yield shared_fleet
    shared_fleet.gate.open()
    kill_all(shared_fleet.guests)
    shared_fleet.guests.clear()


@pytest.fixture
def settings(servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> SharedSettings:
    """How to reach the servers of this test run."""
    for name, value in servers.environment().items():
        monkeypatch.setenv(name, value)
    return SharedSettings()


@contextmanager
def stopped(server: Process | None) -> Generator[None]:
    """Within the block the server is away."""
    assert server
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.fixture
def nobody_restarted(fleet: RunningFleet) -> Iterator[None]:
    """Whatever a test does to the servers, gateway, workers and sweeper are the same processes after it, and work."""
    ours = fleet.fleet.ours
    before = [process.pid for process in ours]
    yield
    check_running(ours)
    assert [process.pid for process in ours] == before
    wait_for(lambda: fleet.ready)
    assert fleet.api.spoken(f"Everything works again, {time.time_ns()}.")["attempts"] == 1


def refused(fleet: RunningFleet, **headers: str) -> Json:
    """Submit a job that can't be taken now; return the problem."""
    started = time.monotonic()
    answer = fleet.api.http.post("/v1/jobs", json={"text": "Hello?"}, headers=headers)
    assert time.monotonic() - started < ANSWERED_WITHIN_SECONDS
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    return answer.json()

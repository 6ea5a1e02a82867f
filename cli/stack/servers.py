"""The private servers of one local stack: RabbitMQ, Redis and S3 on loopback ports, in one data folder."""

import shlex
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.stack.folder import DataFolder, write_private
from cli.stack.probes import LOOPBACK, free_ports
from cli.stack.process import Process, kill_all, stop_all, wait_ready
from cli.stack.rabbitmq import Ports, RabbitMQ, rabbitmq_installed
from cli.stack.redis import redis_server
from cli.stack.s3 import ACCESS_KEY, s3_server

BUCKET = "emotivoice"
REGION = "us-east-1"
SETTINGS_FILE = "settings.env"
NOT_CRASH_SAFE = (
    "RabbitMQ is not installed, so messages travel through Redis. That is not crash-safe: when a worker is killed, "
    "its work starts again only after some minutes. For the real thing: apt-get install rabbitmq-server"
)


class LocalServers:
    """Servers that start together, keep their data between runs, and can be stopped and started one by one.

    `servers.redis.kill()`, `servers.redis.start()` brings the same server back on the same port with its data;
    `servers.rabbitmq` is None where messages travel through Redis.
    """

    def __init__(self, folder: Path, *, rabbitmq: bool | None = None, management: bool = False) -> None:
        self.folder = DataFolder(folder)
        self.folder.acquire()
        passwords = self.folder.passwords("rabbitmq", "redis", "s3")
        amqp, distribution, epmd, web, redis, s3 = free_ports(6)
        self._secret_key = passwords["s3"]
        self._redis_url = f"redis://:{passwords['redis']}@{LOOPBACK}:{redis}"
        self._s3_url = f"http://{LOOPBACK}:{s3}"
        self.redis: Process = redis_server(self.folder, port=redis, password=passwords["redis"])
        self.s3: Process = s3_server(self.folder, port=s3, secret_key=passwords["s3"])
        self.broker: RabbitMQ | None = None
        if rabbitmq_installed() if rabbitmq is None else rabbitmq:
            ports = Ports(amqp=amqp, distribution=distribution, epmd=epmd, management=web)
            self.broker = RabbitMQ(self.folder, ports=ports, password=passwords["rabbitmq"], management=management)

    @property
    def rabbitmq(self) -> Process | None:
        """The RabbitMQ node."""
        return self.broker.node if self.broker else None

    @property
    def processes(self) -> list[Process]:
        """Every child process, the slowest to start first."""
        return [*([self.broker.epmd, self.broker.node] if self.broker else []), self.redis, self.s3]

    def environment(self) -> dict[str, str]:
        """The settings with which gateway and workers find these servers."""
        return {
            "EMOTIVOICE_BROKER_URL": self.broker.url if self.broker else f"{self._redis_url}/1",
            "EMOTIVOICE_REDIS_URL": f"{self._redis_url}/0",
            "EMOTIVOICE_S3_ENDPOINT": self._s3_url,
            "EMOTIVOICE_S3_PUBLIC_ENDPOINT": self._s3_url,
            "EMOTIVOICE_S3_ACCESS_KEY": ACCESS_KEY,
            "EMOTIVOICE_S3_SECRET_KEY": self._secret_key,
            "EMOTIVOICE_S3_BUCKET": BUCKET,
            "EMOTIVOICE_S3_REGION": REGION,
        }

    def launch(self) -> None:
        """Start every server without waiting for any but epmd, which the node must find at its start."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.environment().items()]
        write_private(self.folder / SETTINGS_FILE, "".join(lines))  # for `emotivoice dead` in another terminal
        if self.broker:
            self.broker.epmd.start()
        for process in self.processes:
            process.launch()

    def start(self, on_change: Callable[[list[str]], None] = lambda _: None) -> None:
        """Start every server and wait until all answer; on failure, leave none behind."""
        try:
            self.launch()
            wait_ready(self.processes, on_change)
        except BaseException:  # Ctrl-C too: nothing may be left running
            self.kill()
            raise

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop every server cleanly, or at once when `hurry` says so, and let go of the data folder."""
        stop_all([process for process in self.processes if process.name != "epmd"], hurry=hurry)
        self.kill()

    def kill(self) -> None:
        """End every server at once and let go of the data folder."""
        kill_all(self.processes)
        self.folder.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

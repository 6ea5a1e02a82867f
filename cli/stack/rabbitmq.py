"""A private RabbitMQ node."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.stack.errors import StackError
from cli.stack.folder import DataFolder, write_private
from cli.stack.probes import LOOPBACK, accepts, speaks_amqp
from cli.stack.process import Command, Process

USER = "emotivoice"
NODE = "emotivoice@localhost"  # the data folder belongs to this name; its own epmd keeps two stacks apart
# The real scripts; what stands in /usr/sbin changes the user and reads the machine's own settings.
SCRIPT_FOLDERS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin")


@dataclass(frozen=True)
class Ports:
    """The ports of one node."""

    amqp: int
    distribution: int
    epmd: int
    management: int


class RabbitMQ:
    """One node with its own port mapper.

    epmd is a child of ours, started first: the one that a node starts by itself outlives it.
    """

    def __init__(self, folder: DataFolder, *, ports: Ports, password: str, management: bool = False) -> None:
        self.ports = ports
        self.management_url = f"http://{LOOPBACK}:{ports.management}" if management else None
        self.url = f"amqp://{USER}:{password}@{LOOPBACK}:{ports.amqp}//"
        self._scripts = _scripts()
        data = folder / "rabbitmq"
        self._environment = _environment(data, ports)
        write_private(data / "rabbitmq.conf", _config(ports, password, management=management))
        write_private(data / "enabled_plugins", "[rabbitmq_management].\n" if management else "[].\n")
        epmd = Command([_epmd(), "-address", LOOPBACK, "-port", str(ports.epmd)], log=folder.log("epmd"))
        server = Command(
            [str(self._scripts / "rabbitmq-server")],
            log=folder.log("rabbitmq"),
            environment=self._environment,
            folder=data,
            keep_open=folder.inherited,
        )
        self.epmd = Process("epmd", epmd, answers=lambda: accepts(ports.epmd))
        self.node = Process("rabbitmq", server, answers=lambda: speaks_amqp(ports.amqp))

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against the node (1 to 2 s a call) and return what it printed."""
        command = [str(self._scripts / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise StackError(f"rabbitmqctl {arguments[0]} failed: {done.stderr or done.stdout}")
        return done.stdout


def rabbitmq_installed() -> bool:
    """Whether this machine has RabbitMQ's server."""
    return any((Path(folder) / "rabbitmq-server").exists() for folder in SCRIPT_FOLDERS)


def _scripts() -> Path:
    for folder in SCRIPT_FOLDERS:
        if (Path(folder) / "rabbitmq-server").exists():
            return Path(folder)
    raise StackError("no RabbitMQ: install the package rabbitmq-server")


def _epmd() -> str:
    found = shutil.which("epmd")
    if not found:
        raise StackError("no epmd: install Erlang, which rabbitmq-server needs")
    return found


def _environment(data: Path, ports: Ports) -> Mapping[str, str]:
    """Everything that would otherwise come from the machine's own RabbitMQ."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
    return inherited | {
        "HOME": str(data),  # the Erlang cookie lies here
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_FLAGS": "-start_epmd false",  # a node that is killed while it boots would leave an epmd behind
        "RABBITMQ_NODENAME": NODE,
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(ports.amqp),
        "RABBITMQ_DIST_PORT": str(ports.distribution),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_LOGS": "-",  # standard output, which goes to our own log file
        "RABBITMQ_PID_FILE": str(data / "node.pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "advanced.config"),  # not there; the machine's might be
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        # The script then becomes the node instead of watching over it, so that our signals reach it.
        "RUNNING_UNDER_SYSTEMD": "true",
        # +sbwt: schedulers that spin while idle take the cores that the workers need.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} -noinput +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
    }


def _config(ports: Ports, password: str, *, management: bool) -> str:
    lines = [
        f"listeners.tcp.default = {LOOPBACK}:{ports.amqp}",
        f"default_user = {USER}",
        f"default_pass = {password}",
        "consumer_timeout = 7200000",  # 2 h in ms; above every time limit of a task
        "vm_memory_high_watermark.absolute = 1GB",  # the default, 40 % of a laptop, is more than this needs
        "disk_free_limit.absolute = 200MB",
        "log.console.level = warning",
    ]
    if management:
        lines += [f"management.tcp.ip = {LOOPBACK}", f"management.tcp.port = {ports.management}"]
    return "\n".join(lines) + "\n"

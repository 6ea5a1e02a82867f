"""Processes of a bench, beside those of its fleet."""

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from cli.stack.fleet import Fleet
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import free_ports, http_ok
from cli.stack.process import Command, Process


def new_worker(fleet: Fleet, name: str, *, port: int | None = None) -> Process:
    """Return one more worker of the lane interactive, not started yet. If several start at once, name their ports."""
    port = port or free_ports(1)[0]
    with environment(EMOTIVOICE_LANE="interactive", EMOTIVOICE_HEALTH_PORT=str(port)):
        return Process(name, command(fleet, name, ["-m", "worker"]), answers=lambda: http_ok(port, "/readyz"))


def command(fleet: Fleet, name: str, arguments: Sequence[str]) -> Command:
    """Return how to run Python with these arguments beside the fleet."""
    variables = {**os.environ, **fleet.servers.environment()}
    return Command([sys.executable, *arguments], fleet.servers.folder.log(name), variables, CODE_FOLDER)


@contextmanager
def environment(**variables: str) -> Generator[None]:
    """Within the block, have these variables set."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

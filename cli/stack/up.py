"""`emotivoice up`: the whole service on this machine, until Ctrl-C."""

import signal
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.stack.engine import Device, Engine, EngineChoice, ModelDir
from cli.stack.errors import Interrupted, StackError
from cli.stack.fleet import Fleet, Watcher
from cli.stack.folder import default_folder
from cli.stack.probes import free_ports, is_free
from cli.stack.servers import NOT_CRASH_SAFE, SETTINGS_FILE

WATCH_SECONDS = 0.2
DEFAULT_PORT = 8080


class StopRequests:
    """How often the user asked to stop, by Ctrl-C or a signal. The second time means: now."""

    def __init__(self) -> None:
        self.count = 0
        self._interrupting = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def asked(self) -> bool:
        return self.count > 0

    def insisted(self) -> bool:
        return self.count > 1

    def watcher(self) -> Watcher:
        """What a fleet needs to tell of its progress and to be called off."""
        return Watcher(say=say, stop_asked=self.asked, hurry=self.insisted)

    @contextmanager
    def interrupting(self) -> Generator[None]:
        """Within this block the first request raises Interrupted, wherever the program is."""
        self._interrupting = True
        try:
            yield
        finally:
            self._interrupting = False

    def _on_signal(self, *_: object) -> None:
        self.count += 1
        if self._interrupting:
            self._interrupting = False
            raise Interrupted("stopped")


def up(  # noqa: PLR0913, PLR0917 - the options of the command
    data: Annotated[Path | None, typer.Option(help="data folder; default: .local, or $EMOTIVOICE_DATA")] = None,
    port: Annotated[int, typer.Option(help="of the API on 127.0.0.1; 0 for any free one")] = DEFAULT_PORT,
    fresh: Annotated[bool, typer.Option("--fresh", help="use an empty data folder that is deleted at the end")] = False,
    redis_broker: Annotated[bool, typer.Option("--redis-broker", help="send messages through Redis")] = False,
    engine: Engine = None,
    model_dir: ModelDir = None,
    device: Device = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="a builtin worker too, for jobs with if_cold: builtin")
    ] = False,
) -> None:
    """Run the whole service on this machine: servers, gateway, workers and sweeper. Ctrl-C stops it."""
    stop = StopRequests()
    chosen = EngineChoice(engine, model_dir, device)
    try:
        chosen.check()
        with chosen_folder(data, fresh=fresh) as folder:
            fleet = Fleet(
                folder,
                port=usable_port(port),
                rabbitmq=False if redis_broker else None,
                watcher=stop.watcher(),
                worker_settings=chosen.settings(),
                stand_in=stand_in,
            )
            with running(fleet, discard=fresh):
                typer.echo(greeting(fleet))
                while not stop.asked():
                    fleet.check()
                    time.sleep(WATCH_SECONDS)
    except Interrupted:
        say("stopped")
    except StackError as error:
        say(f"error: {error}")
        raise typer.Exit(1) from error


@contextmanager
def running(fleet: Fleet, *, discard: bool = False) -> Generator[Fleet]:
    """Start a fleet, saying what is waited for, and stop it in the end whatever happens."""
    started = time.monotonic()
    if not fleet.servers.broker:
        say(NOT_CRASH_SAFE)
    names = ", ".join(process.name for process in fleet.processes)
    say(f"starting {names} in {fleet.servers.folder.path}")
    fleet.start()
    say(f"ready after {time.monotonic() - started:.1f} s")
    try:
        yield fleet
    finally:
        say("stopping: workers finish what they have in hand (Ctrl-C again: at once)")
        fleet.stop(discard=discard)
        say("stopped")


@contextmanager
def chosen_folder(data: Path | None, *, fresh: bool) -> Generator[Path]:
    """The data folder; a fresh one is deleted afterwards."""
    if not fresh:
        yield data or default_folder()
        return
    with tempfile.TemporaryDirectory(prefix="emotivoice-") as folder:
        yield Path(folder)


def usable_port(wanted: int) -> int:
    """The wanted port, or a free one, said aloud, when it is taken."""
    if wanted and is_free(wanted):
        return wanted
    [free] = free_ports(1)
    if wanted:
        say(f"port {wanted} is taken; the API is on {free}")
    return free


def greeting(fleet: Fleet) -> str:
    """Where everything is, and a first request."""
    ports = {**fleet.health_ports, "sweeper": fleet.sweeper_port}
    others = "\n".join(f"  {name:<12} http://127.0.0.1:{port}/metrics" for name, port in ports.items())
    return f"""
  API          {fleet.url}
  reference    {fleet.url}/docs
  metrics      {fleet.url}/metrics
{others}
  logs         {fleet.servers.folder.path / "logs"}
  settings     {fleet.servers.folder.path / SETTINGS_FILE}

  curl -X POST {fleet.url}/v1/jobs -H 'Content-Type: application/json' -d '{{"text": "Hello from the fleet."}}'

Ctrl-C stops everything.
"""


def say(line: str) -> None:
    """Tell the user; standard output is left for results."""
    typer.echo(line, err=True)

"""What may be done to whom, and undone."""

import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from cli.stack.probes import http_ok
from cli.stack.process import Process
from tests.api import children
from tests.faults.holds import Held
from tests.faults.proxy import FaultProxy
from tests.faults.rig import HEARTBEAT_SECONDS, Member, Rig, signal_group
from tests.waiting import wait_for

AWAY_SECONDS = 2.0  # between the end of a restarted process and its next start
CUT_SECONDS = 2.0
PAUSE_SECONDS = 3 * HEARTBEAT_SECONDS + 1.0
EXIT_SECONDS = 45.0


class Victim(StrEnum):
    """Who is broken."""

    GATEWAY = "gateway"
    CHILD = "worker child"
    MAIN = "worker main"
    RABBITMQ = "RabbitMQ"
    REDIS = "Redis"
    S3 = "S3"
    ASSEMBLY = "assembly worker"


class Fault(StrEnum):
    """What is done to it."""

    KILL = "SIGKILL"
    TERM = "SIGTERM"
    RESTART = "restart"
    STOP = "SIGSTOP, SIGCONT"
    CUT = "network cut"


SERVER_OF = {Victim.RABBITMQ: "rabbitmq", Victim.REDIS: "redis", Victim.S3: "s3"}


@dataclass(frozen=True)
class Target:
    """A victim as it runs just now."""

    process: Process
    launch: Callable[[], None]
    proxies: Sequence[FaultProxy]
    member: Member | None = None  # None: a server
    child: int = 0  # the worker's child, where only that is meant
    alone: bool = False  # a signal goes to the one process, and not to what it started


def target(rig: Rig, victim: Victim, held: Held) -> Target:
    """Return who is meant; child and main are those of the worker that is held, or of any other that speaks."""
    if victim in SERVER_OF:
        name = SERVER_OF[victim]
        return Target(rig.server(name), partial(rig.launch_server, name), rig.ways_to(name))
    member = _member(rig, victim, held)
    ways = member.proxies
    whole = Target(member.process, member.launch, list(ways.values()), member)
    if victim is Victim.MAIN:  # who alone consumes; the broker's connection of the child is cut with it
        return replace(whole, proxies=[ways["rabbitmq"]], alone=True)
    if victim is Victim.CHILD:
        return replace(whole, proxies=[ways["redis"], ways["s3"]], child=member.child())
    return whole


def _member(rig: Rig, victim: Victim, held: Held) -> Member:
    if victim is Victim.GATEWAY:
        return rig.gateway
    if victim is Victim.ASSEMBLY:
        return rig.workers["assembler"]
    return rig.workers["speaker-1" if held.worker == "assembler" else held.worker]


@contextmanager
def broken(victim: Target, fault: Fault) -> Generator[None]:
    """Do the fault; at the end of the block undo it, and start again what has ended."""
    if fault is Fault.CUT:
        with cut(victim.proxies):
            yield
    elif fault is Fault.STOP:
        with paused(victim):
            yield
    elif victim.child:
        with child_replaced(victim, fault):
            yield
    else:
        with ended(victim, fault):
            yield


@contextmanager
def cut(proxies: Sequence[FaultProxy]) -> Generator[None]:
    for proxy in proxies:
        proxy.cut()
    yield
    for proxy in proxies:
        proxy.heal()


@contextmanager
def paused(victim: Target) -> Generator[None]:
    """Stop the processes, as a machine that hangs does; nobody closes a connection."""
    _signal(victim, signal.SIGSTOP)
    yield
    _signal(victim, signal.SIGCONT)


@contextmanager
def child_replaced(victim: Target, fault: Fault) -> Generator[None]:
    """End a worker's child. Its main process starts another, but for SIGTERM, which a child leaves to its main."""
    assert victim.member
    if fault is Fault.RESTART:  # as the child does itself when it has outgrown its memory
        (marks,) = victim.member.temporary.glob("emotivoice-ready-*")
        (marks / "retired" / str(victim.child)).touch()
    else:
        os.kill(victim.child, signal.SIGKILL if fault is Fault.KILL else signal.SIGTERM)
    yield
    if fault is not Fault.TERM:
        wait_for(lambda: victim.child not in children(victim.process.pid), seconds=EXIT_SECONDS)


@contextmanager
def ended(victim: Target, fault: Fault) -> Generator[None]:
    """End a process, at once or by asking it; then start it again, at once or after a while."""
    drains = bool(victim.member and victim.member.name != "gateway" and http_ok(victim.member.port, "/readyz"))
    if fault is Fault.KILL:
        victim.process.kill()
    else:
        victim.process.terminate()
    yield
    wait_for(lambda: not victim.process.running, seconds=EXIT_SECONDS)
    if fault is Fault.RESTART:
        time.sleep(AWAY_SECONDS)
    if fault is not Fault.KILL and drains:
        assert victim.process.exit_code == 0, f"{victim.process.name} exited with {victim.process.exit_code}"
    victim.launch()


def _signal(victim: Target, number: signal.Signals) -> None:
    if victim.child:
        os.kill(victim.child, number)
    elif victim.alone:
        os.kill(victim.process.pid, number)
    else:
        signal_group(victim.process.pid, number)

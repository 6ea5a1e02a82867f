"""One child process of the stack: start, probe, stop, kill, and the end of its log."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cli.stack.errors import Interrupted, NotReady, ProcessDied

POLL_SECONDS = 0.05
MAX_LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class Command:
    """What to run, and where its output goes."""

    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    keep_open: Collection[int] = ()  # file descriptors that the child inherits
    before: Callable[[], None] = lambda: None  # what is to be done before each start
    end_with_us: Literal["TERM", "KILL"] = "TERM"  # what the child gets when this process is killed


class Process:
    """A child process that is ready once it answers a probe.

    Start it from the main thread: the kernel ends the child when the thread that started it is gone, so that
    a killed `emotivoice up` leaves nothing behind.
    """

    def __init__(
        self, name: str, command: Command, *, answers: Callable[[], bool] = lambda: True, ready_seconds: float = 60
    ) -> None:
        self.name = name
        self.ready_seconds = ready_seconds
        self._command = command
        self._answers = answers
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._launched_at = 0.0

    @property
    def pid(self) -> int:
        """The process id of the running child."""
        return self._running_child().pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started; negative: the signal that ended it."""
        return self._child.poll() if self._child else None

    def launch(self) -> None:
        """Start the child without waiting for it to be ready."""
        if self.running:
            return
        self._command.before()
        log = self._command.log
        log.parent.mkdir(parents=True, exist_ok=True)
        rotate(log)
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._child = subprocess.Popen(
                [*_end_with_us(self._command.end_with_us), *self._command.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self._command.environment) or None,
                cwd=self._command.folder,
                pass_fds=tuple(self._command.keep_open),
                start_new_session=True,  # Ctrl-C in the terminal reaches us alone; we stop the children in order
            )
        self._launched_at = time.monotonic()

    def start(self) -> None:
        """Start the child and wait until it answers."""
        self.launch()
        wait_ready([self])

    def ready(self) -> bool:
        """Whether the child answers its probe.

        Raises:
            ProcessDied: it is not running.
            NotReady: it has had its time.
        """
        if not self.running:
            raise ProcessDied(self.name, self.exit_code, self.log_tail())
        if self._answers():
            return True
        if time.monotonic() - self._launched_at > self.ready_seconds:
            raise NotReady(self.name, seconds=self.ready_seconds, log_tail=self.log_tail())
        return False

    def terminate(self) -> None:
        """Ask the child to stop; `stop` waits for it."""
        if self._child and self.running:
            self._child.terminate()

    def stop(self, timeout_seconds: float = 15) -> None:
        """Stop the child cleanly; past the time limit, kill it."""
        stop_all([self], timeout_seconds)

    def finish(self, timeout_seconds: float = 30) -> None:
        """Wait for a child that ends by itself.

        Raises:
            ProcessDied: it failed.
            NotReady: it still runs after the time limit.
        """
        if not self._child:
            return
        try:
            failed = self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise NotReady(self.name, seconds=timeout_seconds, log_tail=self.log_tail()) from None
        if failed:
            raise ProcessDied(self.name, self.exit_code, self.log_tail())

    def kill(self) -> None:
        """End the child and everything it started, at once."""
        if self._child:
            self._kill_group()
            self._child.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that this run of the child wrote."""
        if not self._command.log.exists():
            return ""
        with self._command.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - 100_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is None or not self.running:
            raise ProcessDied(self.name, self.exit_code, self.log_tail())
        return self._child

    def _kill_group(self) -> None:
        if not self._child:
            return
        try:
            os.killpg(self._child.pid, signal.SIGKILL)  # the child leads its own group
        except (ProcessLookupError, PermissionError):  # macOS says PermissionError for a group of zombies
            self._child.poll()


def wait_ready(
    processes: Iterable[Process],
    on_change: Callable[[list[str]], None] = lambda _: None,
    *,
    watched: Iterable[Process] = (),
    stop_asked: Callable[[], bool] = lambda: False,
) -> None:
    """Return once every process answers, while they and the watched ones run.

    `on_change` gets the names still waited for whenever one became ready.
    """
    waiting = list(processes)
    running = {*waiting, *watched}
    while waiting:
        if stop_asked():
            raise Interrupted("stopped before everything was ready")
        still = [process for process in waiting if not process.ready()]
        check_running(running)
        if len(still) != len(waiting):
            on_change([process.name for process in still])
        waiting = still
        if waiting:
            time.sleep(POLL_SECONDS)


def check_running(processes: Iterable[Process]) -> None:
    """Raise ProcessDied for the first process that is not running."""
    for process in processes:
        if not process.running:
            raise ProcessDied(process.name, process.exit_code, process.log_tail())


def stop_all(
    processes: Sequence[Process], timeout_seconds: float = 15, *, hurry: Callable[[], bool] = lambda: False
) -> None:
    """Stop them side by side; what still runs after the time limit, or once `hurry` says so, is killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + timeout_seconds
    while any(process.running for process in processes) and time.monotonic() < deadline and not hurry():
        time.sleep(POLL_SECONDS)
    kill_all(processes)  # also what a process that ended left in its group


def kill_all(processes: Iterable[Process]) -> None:
    """End them at once, with everything they started."""
    for process in processes:
        process.kill()


def rotate(log: Path) -> None:
    """Keep one older log, so that a data folder in daily use does not fill up."""
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))


def _end_with_us(signal_name: str) -> list[str]:
    setpriv = shutil.which("setpriv")  # util-linux; where it is absent (macOS), a SIGKILL of ours leaves orphans
    return [setpriv, "--pdeathsig", signal_name, "--"] if setpriv else []

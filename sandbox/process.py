"""A child process with bounds. It is told what to do on its standard input, and leaves its result in a file."""

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CHECK_SECONDS = 1.0
MIB = 1024 * 1024

_OPEN_FILES = 64
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Bounds:
    """The most that a child may use."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: int


def run(
    module: str,
    request: Mapping[str, object],
    folder: str,
    bounds: Bounds,
    *,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Run a module with a request, as JSON, and return how it ended; one that is not done in time is killed.

    The child has none of our environment, so no secret either. It restricts itself before it looks at the file.

    Args:
        folder: where it works.
        check: called every second meanwhile; what it raises ends the child.
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A BLAS takes address space for each of its threads, as many as the machine has cores: more than is allowed.
        env={"PYTHONPATH": str(_ROOT), "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"},
        cwd=folder,
        start_new_session=True,  # a signal to the worker's group lets the file be read to its end
    ) as child:
        try:
            return _ended(child, json.dumps(request), bounds.wall_seconds, check)
        finally:
            child.kill()  # nothing, if it has ended


def _ended(child: subprocess.Popen[str], request: str, wall_seconds: float, check: Callable[[], None]) -> int:
    deadline = time.monotonic() + wall_seconds
    told: str | None = request
    while time.monotonic() < deadline:
        try:
            child.communicate(told, timeout=min(CHECK_SECONDS, wall_seconds))
        except subprocess.TimeoutExpired:
            told = None  # what is left of it is sent by the next call
            check()
        else:
            return child.returncode
    return -signal.SIGXCPU


def out_of_time(status: int) -> bool:
    """Whether a child ended so because it took too long."""
    return status in (-signal.SIGXCPU, -signal.SIGKILL)


def restrict(bounds: Bounds, *, written_bytes: int) -> None:
    """Hold this process, which is the child, to what it may use.

    Args:
        written_bytes: of each file.
    """
    limits = {
        resource.RLIMIT_AS: bounds.memory_bytes,
        resource.RLIMIT_CPU: bounds.cpu_seconds,
        resource.RLIMIT_FSIZE: written_bytes,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))

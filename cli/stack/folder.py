"""The data folder of one local stack: where it is, who uses it, its passwords and logs."""

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import IO

from cli.stack.errors import DataFolderInUse

LEFTOVER_SECONDS = 15  # how long the servers of a killed stack may take to stop
CODE_FOLDER = Path(__file__).resolve().parents[2]


def default_folder() -> Path:
    """`$EMOTIVOICE_DATA`, else `.local` in a checkout, else the user's data folder."""
    if chosen := os.environ.get("EMOTIVOICE_DATA"):
        return Path(chosen).expanduser()
    if (CODE_FOLDER / "pyproject.toml").exists():
        return CODE_FOLDER / ".local"
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "emotivoice"


class DataFolder:
    """A folder that one stack at a time may use."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: IO[str] | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def log(self, name: str) -> Path:
        """Where the process of that name logs."""
        return self.path / "logs" / f"{name}.log"

    def acquire(self) -> None:
        """Take the folder until `release` and the end of every child that inherits the lock.

        Raises:
            DataFolderInUse: another stack holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock = (self.path / "lock").open("a+")
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while not _try_lock(lock):
            lock.seek(0)
            holder = lock.read().strip()
            if _runs(holder) or time.monotonic() > deadline:
                self.release()
                raise DataFolderInUse(
                    f"a stack already runs in {self.path} (process {holder or 'unknown'}): "
                    "stop it, or choose another folder with --data"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()

    @property
    def inherited(self) -> tuple[int, ...]:
        """What a server must inherit, so that nobody takes the folder while it still writes there."""
        return (self._lock.fileno(),) if self._lock else ()

    def release(self) -> None:
        """Let others use the folder."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def passwords(self, *names: str) -> dict[str, str]:
        """A password for each name, made once and kept: a broker's data remembers the first it was given."""
        path = self.path / "passwords.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        known |= {name: secrets.token_hex(20) for name in names if name not in known}
        write_private(path, json.dumps(known, indent=1))
        return known


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)

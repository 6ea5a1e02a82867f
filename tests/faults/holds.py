"""Hold one job at an exact point of a worker's path: a test arms the hold, the first worker that comes there stays."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from shared.jobs import JOIN, PLAN
from tests.engines import Gate
from tests.waiting import wait_for

LONGEST_HOLD_SECONDS = 90.0
LOOK_SECONDS = 0.01


class Moment(StrEnum):
    """Where a step is while it is held."""

    BEFORE_START = "before start"
    SPEAKING = "while speaking"
    BEFORE_FINISH = "between upload and finish"
    BEFORE_ACK = "between finish and ack"
    JOINING = "while joining"


class Kind(StrEnum):
    """Which steps a hold is for."""

    SEGMENT = "segment"
    PLAN = "plan"
    JOIN = "join"


def kind_of(step: str) -> Kind:
    return Kind(step) if step in (PLAN, JOIN) else Kind.SEGMENT


@dataclass(frozen=True)
class Held:
    """Who is held, and with what."""

    worker: str  # the worker's name in the rig
    child: int  # its process id
    job_id: str
    step: str


class Hold:
    """A point at which one step at a time can be held: a file `armed`, which the first to come makes its own."""

    def __init__(self, folder: Path, moment: Moment, kind: Kind) -> None:
        name = f"{moment}, {kind}"
        self._armed, self._held = folder / f"{name}, armed", folder / f"{name}, held"

    def arm(self) -> None:
        """Hold the next step of that kind that comes to this point."""
        self._held.unlink(missing_ok=True)
        self._armed.touch()

    def wait(self, *, seconds: float = 30) -> Held:
        """Return who is held, once somebody is."""
        return Held(**json.loads(wait_for(self._read, seconds=seconds)))

    def open(self) -> None:
        """Let go whoever is held, and hold nobody else."""
        self._armed.unlink(missing_ok=True)
        self._held.unlink(missing_ok=True)

    def pass_through(self, who: Held) -> None:
        """Called by a worker at this point: go on at once, or when the hold is opened."""
        mine = self._held.with_suffix(f".{os.getpid()}")
        try:
            self._armed.rename(mine)
        except FileNotFoundError:  # not armed, or somebody else was faster
            return
        mine.write_text(json.dumps(asdict(who)))
        mine.rename(self._held)
        deadline = time.monotonic() + LONGEST_HOLD_SECONDS
        while self._held.exists() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def _read(self) -> str:
        with suppress(FileNotFoundError):
            return self._held.read_text()
        return ""


class Holds:
    """All points of one rig."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.loading = Gate(folder / "loading")  # whoever loads an engine waits here while it is closed
        self.deaf = Gate(folder / "deaf")  # whoever speaks a text with this word in it

    def at(self, moment: Moment, kind: Kind) -> Hold:
        return Hold(self._folder, moment, kind)

    def open_all(self) -> None:
        self.loading.open()
        self.deaf.open()
        for moment in Moment:
            for kind in Kind:
                self.at(moment, kind).open()

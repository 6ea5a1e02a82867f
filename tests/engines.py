"""An engine that hums, and obeys certain words of the text: each stands for something that may go wrong."""

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.engines import HummingEngine
from worker.engine import (
    DeviceLost,
    EngineError,
    EngineOptions,
    EngineUnavailable,
    OutOfMemory,
    Speech,
    UnspeakableText,
    Utterance,
)

GATE = "EMOTIVOICE_TEST_GATE"
LONGEST_WAIT_SECONDS = 60.0


class Gate:
    """Holds whoever comes to it, in whatever process, while it is closed: a file that is there or not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def close(self) -> None:
        self._path.touch()

    def open(self) -> None:
        self._path.unlink(missing_ok=True)

    def pass_through(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while self._path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)


class ObedientEngine(HummingEngine):
    """Hums; `spoken` has what it hummed, `calls` how much at a time, and `after_each` is called with each."""

    name = "obedient"
    revision = "obedient-1"

    def __init__(self, gate: Gate | None = None, *, batch_size: int = 1) -> None:
        super().__init__(load_seconds=0, utterance_seconds=0, batch_size=batch_size)
        self.spoken: list[str] = []
        self.calls: list[int] = []
        self.warmed_up_in = ""
        self._hoard: list[bytes] = []
        self._reserved = 0
        self.after_each: Callable[[str], None] = lambda _: None
        self._gate = gate

    def warm_up(self) -> None:
        self.warmed_up_in = threading.current_thread().name

    def memory(self) -> dict[str, int]:
        return {"allocated": self._reserved // 2, "reserved": self._reserved, "free": 8 << 30, "total": 16 << 30}

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        self.calls.append(len(utterances))
        speeches: list[Speech] = []
        for utterance in utterances:
            self._obey(set(re.findall("[a-z]+", utterance.text.lower())))
            (speech,) = super().synthesize([utterance])
            missed = ("a word was left out",) if "skip" in utterance.text.lower() else ()
            speeches.append(replace(speech, warnings=missed))
            self.spoken.append(utterance.text)
            self.after_each(utterance.text)
        return speeches

    def _obey(self, words: set[str]) -> None:
        if "die" in words:
            os._exit(1)
        if "grow" in words:
            self._hoard.append(b"x" * (512 << 20))
        if "reserve" in words:
            self._reserved = 2 << 30
        if "unplug" in words:
            raise DeviceLost("the GPU is gone")
        if "overflow" in words:
            raise OutOfMemory("the utterance needs 99 GiB")
        if "exhaust" in words:
            raise MemoryError
        if "hang" in words:
            time.sleep(LONGEST_WAIT_SECONDS)
        if "refuse" in words:
            raise EngineError("the engine was told to refuse")
        if "mumble" in words:
            raise UnspeakableText("there is nothing to speak")
        if "break" in words:
            raise RuntimeError("a fault that nobody thought of")
        if "wait" in words and self._gate:
            self._gate.pass_through()


def obedient(_: EngineOptions) -> ObedientEngine:
    """For a worker process; its gate is the file that the environment names."""
    return ObedientEngine(Gate(Path(os.environ[GATE])))


def obedient_in_batches(_: EngineOptions) -> ObedientEngine:
    """The same, and it likes to get eight utterances at a time."""
    return ObedientEngine(Gate(Path(os.environ[GATE])), batch_size=8)


def obedient_after_the_gate(options: EngineOptions) -> ObedientEngine:
    """The same, but it loads only once the gate is open."""
    Gate(Path(os.environ[GATE])).pass_through()
    return obedient(options)


def broken(_: EngineOptions) -> ObedientEngine:
    raise EngineUnavailable("the model file is missing")

"""An engine that hums, and obeys certain words of the text: each stands for something that may go wrong."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.engines import HummingEngine
from worker.engine import (
    DeviceLost,
    EngineError,
    EngineOptions,
    EngineUnavailable,
    Imitation,
    OutOfMemory,
    ReferenceClip,
    Speech,
    UnspeakableText,
    Utterance,
)

GATE = "EMOTIVOICE_TEST_GATE"
LONGEST_WAIT_SECONDS = 60.0

DEATHS: dict[str, Callable[[], object]] = {
    "die": lambda: os._exit(1),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does when memory runs out
}
FAULTS: dict[str, Callable[[], BaseException]] = {
    "unplug": lambda: DeviceLost("the GPU is gone"),
    "overflow": lambda: OutOfMemory("the utterance needs 99 GiB"),
    "exhaust": MemoryError,
    "refuse": lambda: EngineError("the engine was told to refuse"),
    "mumble": lambda: UnspeakableText("there is nothing to speak"),
    "break": lambda: RuntimeError("a fault that nobody thought of"),
    "systemexit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
}


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
    imitation_revision = "obedient-imitates-1"

    def __init__(self, gate: Gate | None = None, *, batch_size: int = 1) -> None:
        super().__init__(load_seconds=0, utterance_seconds=0, imitating_seconds=0.3, batch_size=batch_size)
        self.spoken: list[str] = []
        self.calls: list[int] = []
        self.imitated: list[ReferenceClip] = []
        self.warmed_up_in = ""
        self._hoard: list[bytes] = []
        self._reserved = 0
        self.after_each: Callable[[str], None] = lambda _: None
        self._gate = gate

    def warm_up(self) -> None:
        self.warmed_up_in = threading.current_thread().name

    def memory(self) -> dict[str, int]:
        return {"allocated": self._reserved // 2, "reserved": self._reserved, "free": 8 << 30, "total": 16 << 30}

    def imitate(self, clip: ReferenceClip) -> Imitation:
        self.imitated.append(clip)
        return super().imitate(clip)

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        self.calls.append(len(utterances))
        speeches: list[Speech] = []
        for utterance in utterances:
            self._obey(set(re.findall("[a-z]+", utterance.text.lower())))
            (speech,) = super().synthesize([utterance])
            missed = ("a word was left out",) if "skip" in utterance.text.lower() else ()
            speeches.append(replace(_spoilt(speech, utterance.text), warnings=missed))
            self.spoken.append(utterance.text)
            self.after_each(utterance.text)
        return speeches

    def _obey(self, words: set[str]) -> None:
        for word in words & DEATHS.keys():
            DEATHS[word]()
        for word in words & FAULTS.keys():
            raise FAULTS[word]()
        if "grow" in words:
            self._hoard.append(b"x" * (512 << 20))
        if "reserve" in words:
            self._reserved = 2 << 30
        if "hang" in words:
            time.sleep(LONGEST_WAIT_SECONDS)
        if "wait" in words and self._gate:
            self._gate.pass_through()


def _spoilt(speech: Speech, text: str) -> Speech:
    """Return the speech as nonsense, if the text asks for that."""
    words = set(re.findall("[a-z]+", text.lower()))
    samples = speech.waveform.samples
    if "nan" in words:
        samples = np.where(np.arange(len(samples)) == len(samples) // 2, np.float32("nan"), samples)
    if "silence" in words:
        samples = samples * np.float32(1e-6)
    if "empty" in words:
        samples = samples[:0]
    return replace(speech, waveform=replace(speech.waveform, samples=samples))


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


def noting(_: EngineOptions) -> ObedientEngine:
    """It keeps a file of all that it has spoken, a line each, whatever becomes of its worker."""
    engine = ObedientEngine(Gate(Path(os.environ[GATE])))
    notes = Path(os.environ[GATE]).with_name("spoken")

    def note(text: str) -> None:
        with notes.open("a") as file:
            file.write(text + "\n")

    engine.after_each = note
    return engine

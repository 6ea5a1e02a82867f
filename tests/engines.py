"""An engine that hums, and obeys certain words of the text: each stands for something that may go wrong."""

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.engines import HummingEngine
from worker.engine import EngineError, EngineUnavailable, Speech, UnspeakableText, Utterance

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
    """Hums; `spoken` has what it hummed, and `after_each` is called with that."""

    name = "obedient"
    revision = "obedient-1"

    def __init__(self, gate: Gate | None = None) -> None:
        super().__init__(load_seconds=0, utterance_seconds=0)
        self.spoken: list[str] = []
        self.after_each: Callable[[str], None] = lambda _: None
        self._gate = gate

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        speeches: list[Speech] = []
        for utterance in utterances:
            self._obey(set(re.findall("[a-z]+", utterance.text.lower())))
            speeches += super().synthesize([utterance])
            self.spoken.append(utterance.text)
            self.after_each(utterance.text)
        return speeches

    def _obey(self, words: set[str]) -> None:
        if "die" in words:
            os._exit(1)
        if "refuse" in words:
            raise EngineError("the engine was told to refuse")
        if "mumble" in words:
            raise UnspeakableText("there is nothing to speak")
        if "break" in words:
            raise RuntimeError("a fault that nobody thought of")
        if "wait" in words and self._gate:
            self._gate.pass_through()


def obedient() -> ObedientEngine:
    """For a worker process; its gate is the file that the environment names."""
    return ObedientEngine(Gate(Path(os.environ[GATE])))


def obedient_after_the_gate() -> ObedientEngine:
    """The same, but it loads only once the gate is open."""
    Gate(Path(os.environ[GATE])).pass_through()
    return obedient()


def broken() -> ObedientEngine:
    raise EngineUnavailable("the model file is missing")

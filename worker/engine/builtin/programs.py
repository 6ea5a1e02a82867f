"""Runs the speaking programs as child processes: argument lists, a private folder, a time limit, and no shell."""

import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio.waveform import Signal, resample
from worker.engine.errors import EngineError

SAMPLE_RATE = 24_000  # Hz; all programs are brought to it
TIMEOUT_SECONDS = 30.0  # both say a sentence in a tenth of a second
PACKAGES = {"flite": "flite", "espeak-ng": "espeak-ng"}  # program -> Debian package


@dataclass(frozen=True, eq=False)
class Sound:
    """Speech from a program, without silence around it, and (start, end) in seconds of each word given to it."""

    samples: Signal
    words: list[tuple[float, float]]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def find_program(name: str, search_path: str | None = None) -> str | None:
    """Absolute path of the program, or None; `search_path` stands for PATH."""
    return shutil.which(name, path=search_path)


def run(arguments: Sequence[str], *, accepted: int = 0) -> str:
    """Run a program and return what it prints; it may end with status 0 or the accepted one."""
    name = Path(arguments[0]).name
    try:
        done = subprocess.run(
            list(arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{name} did not finish within {TIMEOUT_SECONDS:.0f} s") from error
    except OSError as error:
        raise EngineError(f"{name} could not be started: {error}") from error
    if done.returncode not in {0, accepted}:
        raise EngineError(f"{name} ended with status {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return done.stdout.decode(errors="replace")


def record(arguments: Sequence[str], text: str) -> tuple[Signal, str]:
    """Run a program whose arguments hold {text} and {audio}; return what it said, at our rate, and what it printed."""
    with tempfile.TemporaryDirectory(prefix="speech-") as folder:
        text_file, audio_file = Path(folder, "text"), Path(folder, "audio.wav")
        text_file.write_text(text, encoding="utf-8")
        places = {"{text}": str(text_file), "{audio}": str(audio_file)}
        printed = run([places.get(argument, argument) for argument in arguments])
        return _decode(audio_file), printed


def _decode(path: Path) -> Signal:
    try:
        with wave.open(str(path)) as audio:
            if (audio.getnchannels(), audio.getsampwidth()) != (1, 2):
                raise EngineError("a speaking program wrote audio that is not 16 bit mono")
            rate, data = audio.getframerate(), audio.readframes(audio.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise EngineError(f"a speaking program wrote no readable audio: {error}") from error
    return resample(np.frombuffer(data, "<i2").astype(np.float64) / 32768, rate, SAMPLE_RATE)


def share(weights: Sequence[float], seconds: float) -> list[tuple[float, float]]:
    """Divide a stretch of time in proportion to the weights."""
    ends = np.cumsum(np.asarray(weights, np.float64)) / sum(weights) * seconds
    starts = np.concatenate([[0.0], ends[:-1]])
    return list(zip(starts.tolist(), ends.tolist(), strict=True))

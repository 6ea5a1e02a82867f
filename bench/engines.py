"""Engines of known cost, for benches and tests: they hum, and take as long as they are told to."""

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worker.engine import (
    NEUTRAL,
    EngineOptions,
    Imitation,
    PhonemeTiming,
    ReferenceClip,
    Speech,
    Utterance,
    Voice,
    Waveform,
    WordTiming,
)

SECONDS_PER_CHARACTER = 0.06


class HummingEngine:
    """Hums 60 ms for each character. Up to `batch_size` utterances take as long together as one: like on a GPU."""

    name = "humming"
    revision = "humming-1"
    imitation_revision = "humming-imitates-1"
    sample_rate = 16_000
    voices: tuple[Voice, ...] = (
        Voice("hum", "Hum", ("en", "zh"), "female", "a sine"),
        Voice("buzz", "Buzz", ("en",), "male"),
    )
    emotions: tuple[str, ...] = (NEUTRAL, "happy")
    free_text_emotion = False
    controls: tuple[str, ...] = ("pitch_shift",)
    blends = True
    hums = True

    def __init__(
        self,
        *,
        load_seconds: float,
        utterance_seconds: float,
        extra_seconds: float = 0,
        imitating_seconds: float = 0,
        batch_size: int = 1,
    ) -> None:
        time.sleep(load_seconds)
        self.missing: dict[str, str] = {}
        self.batch_size = batch_size
        self._utterance_seconds = utterance_seconds
        self._extra_seconds = extra_seconds  # for each utterance of a batch
        self._imitating_seconds = imitating_seconds

    def warm_up(self) -> None:
        """It is never cold."""

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        batches = math.ceil(len(utterances) / self.batch_size)
        time.sleep(batches * self._utterance_seconds + len(utterances) * self._extra_seconds)
        return [self._hum(utterance) for utterance in utterances]

    def imitate(self, clip: ReferenceClip) -> Imitation:
        """Hum the higher, the longer the clip is."""
        time.sleep(self._imitating_seconds)
        return Imitation("hum", (round(100 * clip.waveform.seconds, 3),), 0.9, ("it only hums",))

    def _hum(self, utterance: Utterance) -> Speech:
        seconds = max(len(utterance.text), 1) * SECONDS_PER_CHARACTER / utterance.speed
        times = np.arange(round(seconds * self.sample_rate)) / self.sample_rate
        pitch = _pitch(utterance.voice) * 2 ** (utterance.pitch_shift / 12)
        samples = (0.3 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)
        words = (WordTiming(utterance.text, 0.0, seconds),)
        return Speech(Waveform(samples, self.sample_rate), words, (PhonemeTiming("m", 0.0, seconds),))


def _pitch(voice: str | tuple[float, ...] | Imitation) -> float:
    """In hertz."""
    if isinstance(voice, Imitation):
        return voice.numbers[0]
    return 110 if voice == "buzz" else 220


def humming(_: EngineOptions) -> HummingEngine:
    """An engine that costs nothing but what the environment says; it is not loaded before HUMMING_LOADED_AT."""
    load_seconds = float(os.environ.get("HUMMING_LOAD_SECONDS", "0"))
    loaded_at = float(os.environ.get("HUMMING_LOADED_AT", "0"))  # Unix seconds
    return HummingEngine(
        load_seconds=max(load_seconds, loaded_at - time.time()),
        utterance_seconds=float(os.environ.get("HUMMING_UTTERANCE_SECONDS", "0")),
        extra_seconds=float(os.environ.get("HUMMING_EXTRA_SECONDS", "0")),
        imitating_seconds=float(os.environ.get("HUMMING_IMITATING_SECONDS", "0")),
        batch_size=int(os.environ.get("HUMMING_BATCH_SIZE", "1")),
    )


class WaitingEngine(HummingEngine):
    """Hums at 8 kHz, and waits a fixed share of the time that its speech lasts; notes what it has spoken in a file."""

    name = "waiting"
    revision = "waiting-1"
    sample_rate = 8_000

    def __init__(self, real_time_factor: float, notes: Path) -> None:
        super().__init__(load_seconds=0, utterance_seconds=0)
        self._real_time_factor = real_time_factor
        self._notes = notes

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        started = time.monotonic()
        speeches = [self._hum(utterance) for utterance in utterances]
        seconds = self._real_time_factor * sum(speech.waveform.seconds for speech in speeches)
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        with self._notes.open("a") as notes:
            notes.writelines(f"{utterance.text}\n" for utterance in utterances)
        return speeches


def waiting(_: EngineOptions) -> WaitingEngine:
    """An engine of a fixed real-time factor, for bench.book."""
    return WaitingEngine(float(os.environ["WAITING_REAL_TIME_FACTOR"]), Path(os.environ["WAITING_NOTES"]))

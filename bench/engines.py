"""Engines of known cost, for benches and tests: they hum, and take as long as they are told to."""

import os
import time
from collections.abc import Sequence

import numpy as np

from worker.engine import NEUTRAL, Speech, Utterance, Voice, Waveform, WordTiming

SECONDS_PER_CHARACTER = 0.06


class HummingEngine:
    """Hums 60 ms for each character, after waiting as long as it is told to for each utterance."""

    name = "humming"
    revision = "humming-1"
    sample_rate = 16_000
    voices: tuple[Voice, ...] = (
        Voice("hum", "Hum", ("en", "zh"), "female", "a sine"),
        Voice("buzz", "Buzz", ("en",), "male"),
    )
    emotions: tuple[str, ...] = (NEUTRAL, "happy")
    free_text_emotion = False

    def __init__(self, *, load_seconds: float, utterance_seconds: float) -> None:
        time.sleep(load_seconds)
        self.missing: dict[str, str] = {}
        self._utterance_seconds = utterance_seconds

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        return [self._hum(utterance) for utterance in utterances]

    def _hum(self, utterance: Utterance) -> Speech:
        time.sleep(self._utterance_seconds)
        seconds = max(len(utterance.text), 1) * SECONDS_PER_CHARACTER / utterance.speed
        times = np.arange(round(seconds * self.sample_rate)) / self.sample_rate
        pitch = 220 if utterance.voice == "hum" else 110
        samples = (0.3 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)
        return Speech(Waveform(samples, self.sample_rate), (WordTiming(utterance.text, 0.0, seconds),))


def humming() -> HummingEngine:
    """An engine that costs nothing but what the environment says."""
    return HummingEngine(
        load_seconds=float(os.environ.get("HUMMING_LOAD_SECONDS", "0")),
        utterance_seconds=float(os.environ.get("HUMMING_UTTERANCE_SECONDS", "0")),
    )

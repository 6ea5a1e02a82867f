"""How well a recognizer understands English speech: its word error rate, by pocketsphinx and the model in its wheel."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from audio.waveform import Waveform, resample

RATE = 16_000
_PEAK = 0.3
# Everyday words, without numbers and names: the recognizer's dictionary has them all.
SENTENCES = (
    "The weather is very nice today.",
    "Please call my brother tomorrow morning.",
    "The train leaves the station at noon.",
    "She opened the window and looked at the garden.",
    "We will have dinner together on Sunday.",
    "The children were playing in the park.",
    "He wrote a long letter to his friend.",
    "My sister lives in a small house near the river.",
    "You should drink more water in the summer.",
    "They bought bread and milk at the market.",
)


class Recognizer:
    """Writes down what it hears."""

    def __init__(self) -> None:
        import pocketsphinx  # pyright: ignore[reportMissingTypeStubs]

        self._decoder = cast(Any, pocketsphinx).Decoder(samprate=RATE, loglevel="FATAL")

    def heard(self, speech: Waveform) -> list[str]:
        samples = resample(speech.samples, speech.sample_rate, RATE)
        samples *= _PEAK / max(float(np.max(np.abs(samples), initial=0.0)), 1e-9)
        self._decoder.start_utt()
        self._decoder.process_raw(np.rint(samples * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr.split() if found else []

    def word_error_rate(self, spoken: Sequence[tuple[str, Waveform]]) -> float:
        """Return the words that are wrong, missing or too many, for each that was said."""
        texts = [(text.lower().rstrip(".").split(), self.heard(speech)) for text, speech in spoken]
        return sum(differences(said, heard) for said, heard in texts) / sum(len(said) for said, _ in texts)


def differences(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many words have to be changed, added or taken away to make one of the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
    return row[-1]

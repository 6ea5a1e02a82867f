"""What can't be speech is told from what can, however quiet."""

import numpy as np
import pytest

from worker.engine import InvalidSpeech, Speech, Utterance, Waveform
from worker.engine.soundness import SILENT_PEAK, require_sound

RATE = 16_000


def check(samples: "list[float] | np.ndarray[tuple[int], np.dtype[np.float32]]", text: str = "Hello there.") -> None:
    require_sound(Utterance(text, "hum"), Speech(Waveform(np.asarray(samples, np.float32), RATE)))


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ([], "no samples"),
        ([0.1, float("nan"), 0.1], "no finite numbers"),
        ([0.1, float("inf")], "no finite numbers"),
        ([0.1, float("-inf")], "no finite numbers"),
        ([0.0] * RATE, "1.00 s of silence"),
        ([SILENT_PEAK / 2, -SILENT_PEAK / 2] * RATE, "2.00 s of silence"),
    ],
)
def test_nonsense_is_named(samples: list[float], says: str) -> None:
    with pytest.raises(InvalidSpeech, match=says):
        check(samples)


def test_quiet_speech_is_speech() -> None:
    check(np.sin(np.arange(RATE, dtype=np.float32)) * np.float32(0.001))  # -60 dBFS
    check([0.0] * RATE + [0.01])


def test_marks_may_be_silent() -> None:
    check([0.0] * RATE, text="… — !")

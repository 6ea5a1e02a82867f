"""What a listener would stop at is found; sound speech passes."""

import numpy as np
import pytest

from audio.waveform import Waveform
from tests.worker.speechlike import FAULTY, RATE, speechlike
from worker.engine import Speech, Utterance
from worker.quality import Reason, faults, repeats_itself, said

TEXT = "The rain went on for three days, and nobody came down to the harbour."
REASONS = {
    "loop": Reason.REPETITION,
    "hole": Reason.SILENCE,
    "clip": Reason.CLIPPING,
    "quiet": Reason.QUIET,
    "short": Reason.TOO_SHORT,
    "long": Reason.TOO_LONG,
}


def found(waveform: Waveform, text: str = TEXT, **fields: float) -> list[Reason]:
    return [one.reason for one in faults(Utterance(text, "v", **fields), Speech(waveform))]  # pyright: ignore[reportArgumentType] - named by the test


@pytest.mark.parametrize("seed", range(20))
def test_sound_speech_passes(seed: int) -> None:
    assert found(speechlike(TEXT, seed)) == []


@pytest.mark.parametrize(
    "text", ["No.", "好。", "1,234,567", "2026-11-28", "$3.50", "今天天气真好，我们去公园散步吧。"]
)
def test_a_text_of_any_kind_may_be_as_long_as_it_is_said(text: str) -> None:
    assert found(speechlike(said(text)), text) == []


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_the_length_is_measured_at_its_speed(speed: float) -> None:
    normal = len(speechlike(TEXT).samples) / RATE / speed

    assert found(speechlike(TEXT, seconds=normal), speed=speed) == []
    assert found(speechlike(TEXT, seconds=4 * normal), speed=speed) == [Reason.TOO_LONG]


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_is_found(name: str) -> None:
    samples = FAULTY[name](speechlike(TEXT).samples)

    assert REASONS[name] in found(Waveform(samples, RATE))


def test_a_loop_is_found_by_its_sound_not_by_its_length() -> None:
    beginning = speechlike(TEXT).samples[:20_000]
    loop = np.concatenate([beginning, *[beginning[9000:14_000]] * 4])

    assert found(Waveform(loop, RATE)) == [Reason.REPETITION]


def test_what_the_text_repeats_may_be_heard_so() -> None:
    ha = speechlike("ha", seconds=0.3).samples
    laughter = Waveform(np.concatenate([ha] * 6), RATE)

    assert found(laughter, "Ha ha ha ha ha ha!") == []
    assert found(laughter, "He was there by eight.") == [Reason.REPETITION]


@pytest.mark.parametrize("text", ["Ha ha ha ha!", "No, no, no, no!", "哈哈哈哈", "很好很好很好很好"])
def test_a_text_that_repeats_itself_is_known(text: str) -> None:
    assert repeats_itself(text)
    assert not repeats_itself(TEXT)


def test_what_is_asked_to_be_quiet_may_be() -> None:
    quiet = Waveform(speechlike(TEXT).samples * np.float32(0.02), RATE)

    assert found(quiet) == [Reason.QUIET]
    assert found(quiet, energy_shift=-30.0) == []

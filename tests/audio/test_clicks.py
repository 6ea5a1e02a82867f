"""The measure of clicks finds what was cut hard, and nothing in what was joined as it should be."""

import numpy as np
import pytest

from audio.encoding import decode, encode
from audio.waveform import Waveform, fade_edges, join, silence
from tests.clicks import clicks
from tests.sounds import voice

RATE = 24_000
PARTS = [voice(0.5, seed=1), voice(0.4, pitch=171, seed=2), voice(0.6, pitch=95, seed=3)]
PAUSE = 0.2


def hard_cut() -> Waveform:
    pause = silence(PAUSE, RATE).samples
    return Waveform(np.concatenate([piece for part in PARTS for piece in (part.samples, pause)]), RATE)


def near(found: list[float], place: float) -> bool:
    return any(abs(click - place) < 0.001 for click in found)


def test_every_hard_cut_is_found_where_it_is() -> None:
    found = clicks(hard_cut().samples, RATE)

    for place in (0.0, 0.5, 0.7, 1.1, 1.3, 1.9):
        assert near(found, place), place
    assert len(found) <= 12  # each at one or two samples


def test_a_cut_from_sound_to_sound_is_found() -> None:
    first, second = voice(0.5, seed=1), voice(0.5, pitch=180, seed=2)
    butted = np.concatenate([first.samples, second.samples])

    assert near(clicks(butted, RATE), 0.5)


def test_one_sample_that_is_missing_is_found() -> None:
    smooth = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE).astype(np.float32)
    at = int(np.argmax(smooth[10_000:10_200])) + 10_000
    smooth[at] = 0

    assert near(clicks(smooth, RATE), at / RATE)


@pytest.mark.parametrize("pause", [0.0, 0.02, PAUSE])
def test_a_join_has_no_click(pause: float) -> None:
    joined = join([(part, pause) for part in PARTS])

    assert clicks(joined.samples, RATE) == []


@pytest.mark.parametrize("format", ["flac", "mp3", "m4a", "opus"])
def test_a_join_has_no_click_once_it_is_encoded(format: str) -> None:
    heard = decode(encode(join([(part, PAUSE) for part in PARTS]), format=format, sample_rate=RATE))

    assert clicks(heard.samples, heard.sample_rate) == []


def test_fades_are_what_takes_the_clicks_away() -> None:
    assert clicks(PARTS[0].samples, RATE)
    assert clicks(fade_edges(PARTS[0]).samples, RATE) == []

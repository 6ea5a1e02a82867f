"""The limiter keeps the ceiling, also between the samples, and leaves alone what is quieter."""

import numpy as np
import pytest

from audio.peaks import Limiter, PeakMeter, true_peaks
from audio.waveform import Samples, Waveform
from tests.clicks import clicks
from tests.sounds import speech

RATE = 24_000
LOUD = 5 * speech(4, seed=2).samples


def limited(samples: Samples, *, piece: int = 10_000, ceiling_db: float = -3.0, rate: int = RATE) -> Samples:
    limiter = Limiter(rate, ceiling_db)
    pieces = [out for start in range(0, len(samples), piece) for out in limiter.push(samples[start : start + piece])]
    return np.concatenate([*pieces, limiter.rest()])


def peak_db(samples: Samples) -> float:
    meter = PeakMeter()
    meter.push(samples)
    return meter.result_db()


@pytest.mark.parametrize("ceiling_db", [-1.0, -3.0, -12.0])
def test_no_true_peak_is_above_the_ceiling(ceiling_db: float) -> None:
    assert peak_db(LOUD) > 0

    found = limited(LOUD, ceiling_db=ceiling_db)

    assert len(found) == len(LOUD)
    assert ceiling_db - 0.5 < peak_db(found) < ceiling_db + 0.1


def test_a_single_peak_at_either_end_is_caught() -> None:
    for place in (0, 1, RATE - 1):
        sound = np.zeros(RATE, np.float32)
        sound[place] = 4.0

        assert peak_db(limited(sound)) < -2.9


def test_what_is_under_the_ceiling_stays_to_the_bit() -> None:
    quiet = speech(3).samples

    np.testing.assert_array_equal(limited(quiet, ceiling_db=-1.0), quiet)


def test_far_from_a_peak_nothing_changes() -> None:
    quiet = speech(1).samples
    sound = np.concatenate([quiet, LOUD, quiet])
    near = round(0.02 * RATE)

    found = limited(sound)

    np.testing.assert_allclose(found[: len(quiet) - near], quiet[:-near], rtol=1e-6)
    np.testing.assert_allclose(found[near - len(quiet) :], quiet[near:], rtol=1e-6)


@pytest.mark.parametrize("piece", [1_001, 32_768, 1_000_000])
def test_however_many_pieces_they_come_in_the_samples_are_the_same(piece: int) -> None:
    np.testing.assert_array_equal(limited(LOUD, piece=piece), limited(LOUD))


@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_a_sound_shorter_than_what_it_looks_ahead_keeps_its_length(count: int) -> None:
    assert len(limited(np.ones(count, np.float32))) == count


def test_limiting_makes_no_click() -> None:
    sound = Waveform(LOUD, RATE)

    assert clicks(sound.samples, RATE) == []
    assert clicks(limited(sound.samples), RATE) == []
    assert clicks(np.clip(sound.samples, -0.7, 0.7), RATE) == []  # nor does clipping: it distorts


@pytest.mark.parametrize("least", [0.05, 0.2, 0.6])
def test_what_is_above_the_least_is_as_if_all_were_read(least: float) -> None:
    signal = LOUD.astype(np.float64) / np.abs(LOUD).max()
    everywhere, where_it_matters = true_peaks(signal), true_peaks(signal, least=least)
    high = everywhere > least

    assert 0 < high.sum() < len(high)
    np.testing.assert_array_equal(where_it_matters[high], everywhere[high])
    assert (where_it_matters[~high] <= least).all()

"""A recording is brought to its target by one gain; what it still misses is said."""

import numpy as np
import pytest

from audio.encoding import decode, encode
from audio.loudness import LoudnessMeter, Measured
from audio.mastering import TARGETS, Target, mastered
from audio.waveform import Waveform, silence
from tests.sounds import speech

RATE = 24_000


def target(name: str) -> Target:
    found = TARGETS[name]
    assert found
    return found


def measured(waveform: Waveform) -> Measured:
    meter = LoudnessMeter(waveform.sample_rate)
    meter.push(waveform.samples)
    return meter.result()


def brought_to(name: str, waveform: Waveform, *, piece: int = 10_000) -> Waveform:
    pieces = [
        Waveform(waveform.samples[start : start + piece], waveform.sample_rate)
        for start in range(0, len(waveform.samples), piece)
    ]
    gain = target(name).gain_db(measured(waveform))
    return Waveform(np.concatenate(list(mastered(pieces, target(name), gain_db=gain))), waveform.sample_rate)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.9])
@pytest.mark.parametrize(("name", "lufs"), [("podcast", -19), ("podcast-16", -16)])
def test_a_podcast_is_as_loud_as_it_shall_be_whatever_it_was(name: str, lufs: float, level: float) -> None:
    found = measured(brought_to(name, speech(5, level=level)))

    assert found.integrated_lufs == pytest.approx(lufs, abs=0.5)
    assert found.peak_db < -1.4
    assert target(name).misses(found) == ()


def test_acx_is_kept_by_a_quiet_and_a_loud_recording_also_as_mp3() -> None:
    for level in (0.01, 0.9):
        book = brought_to(
            "acx", Waveform(np.concatenate([speech(5, level=level).samples, np.zeros(RATE, np.float32)]), RATE)
        )

        heard = measured(decode(encode(book, format="mp3", sample_rate=RATE)))

        assert -23 < heard.rms_db < -18
        assert heard.peak_db < -3
        assert heard.noise_floor_db < -60
        assert target("acx").misses(heard) == ()


def test_a_gain_is_one_for_the_whole() -> None:
    loud, quiet = speech(2, level=0.1), speech(2, level=0.02)
    both = Waveform(np.concatenate([loud.samples, quiet.samples]), RATE)

    found = brought_to("podcast", both)

    gain = 10 ** (target("podcast").gain_db(measured(both)) / 20)
    np.testing.assert_allclose(found.samples[-RATE:], quiet.samples[-RATE:] * np.float32(gain), rtol=1e-6)


def test_what_acx_would_refuse_is_said() -> None:
    noise = np.random.default_rng(3).normal(0, 0.003, 3 * RATE).astype(np.float32)
    said = target("acx").misses(measured(Waveform(speech(3).samples[: 3 * RATE] * 0.05 + noise, RATE)))

    assert len(said) == 2
    assert "dB RMS; wanted is -20, 2 more or less" in said[0]
    assert "the noise floor is -4" in said[1]
    assert "-60 is allowed" in said[1]


def test_a_peak_above_what_is_allowed_is_said() -> None:
    said = target("podcast").misses(Measured(-19.2, -22.0, -0.4, -80.0, 10.0))

    assert said == ("the peak is -0.4 dBTP; -1 is allowed",)


def test_silence_is_left_alone() -> None:
    nothing = silence(2.0, RATE)

    assert target("podcast").gain_db(measured(nothing)) == 0
    assert not brought_to("podcast", nothing).samples.any()


def test_however_many_pieces_it_comes_in_the_samples_are_the_same() -> None:
    sound = speech(3, level=0.9)

    np.testing.assert_array_equal(
        brought_to("podcast-16", sound).samples, brought_to("podcast-16", sound, piece=999).samples
    )

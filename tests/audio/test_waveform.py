"""Joining, trimming, resampling and limiting."""

import numpy as np
import pytest

from audio.waveform import (
    Signal,
    Waveform,
    amplify,
    fade_edges,
    join,
    limit_peaks,
    resample,
    silence,
    speech_level,
    trim_silence,
)
from tests.clicks import clicks

RATE = 24_000


def tone(seconds: float, hertz: float = 220.0, level: float = 0.5, rate: int = RATE) -> Waveform:
    """A tone that is cut off at its ends: at 90 degrees it starts with a jump."""
    time = np.arange(round(seconds * rate)) / rate
    return Waveform((level * np.cos(2 * np.pi * hertz * time)).astype(np.float32), rate)


def largest_step(waveform: Waveform) -> float:
    """The largest jump from sample to sample, with silence before and after."""
    return float(np.max(np.abs(np.diff(np.pad(waveform.samples, 1)))))


def test_a_cut_tone_clicks_and_a_joined_one_does_not() -> None:
    inside = float(np.max(np.abs(np.diff(tone(0.5).samples))))

    assert largest_step(tone(0.5)) > 10 * inside
    assert largest_step(join([(tone(0.5), 0.2), (tone(0.3), 0.0), (tone(0.4), 0.1)])) < 1.05 * inside


def test_a_join_is_as_long_as_its_parts_and_pauses() -> None:
    assert join([(tone(0.5), 0.25), (tone(1.0), 0.5)]).seconds == pytest.approx(2.25)


def test_joining_piece_by_piece_gives_the_same_samples() -> None:
    parts = [(tone(0.2), 0.1), (tone(0.3, 330), 0.05)]
    pieces = [piece.samples for waveform, pause in parts for piece in (fade_edges(waveform), silence(pause, RATE))]

    np.testing.assert_array_equal(join(parts).samples, np.concatenate(pieces))


def test_waveforms_of_two_rates_do_not_join() -> None:
    with pytest.raises(ValueError, match=r"16000, 24000"):
        join([(tone(0.1), 0.0), (tone(0.1, rate=16_000), 0.0)])


def test_fading_leaves_the_original_alone_and_only_touches_the_edges() -> None:
    original = tone(0.5)
    faded = fade_edges(original)

    assert original.samples[0] == np.float32(0.5)
    assert faded.samples[0] == faded.samples[-1] == 0
    np.testing.assert_array_equal(faded.samples[200:-200], original.samples[200:-200])


@pytest.mark.parametrize("samples", [0, 1, 2, 5])
def test_a_waveform_of_few_samples_can_be_faded(samples: int) -> None:
    assert len(fade_edges(Waveform(np.ones(samples, np.float32), RATE)).samples) == samples


def test_trimming_cuts_silence_at_both_ends_only() -> None:
    gap = np.zeros(RATE // 2, np.float32)
    sound = tone(0.3).samples
    padded = Waveform(np.concatenate([gap, sound, gap, sound, gap]), RATE)

    assert trim_silence(padded).seconds == pytest.approx(1.1, abs=0.02)
    assert trim_silence(padded, keep_seconds=0.1).seconds == pytest.approx(1.3, abs=0.02)
    assert trim_silence(silence(1.0, RATE)).seconds == 0


def test_trimmed_utterances_are_as_far_apart_as_their_pause_says() -> None:
    gap = silence(0.37, RATE).samples
    utterance = Waveform(np.concatenate([gap, fade_edges(tone(0.3)).samples, gap]), RATE)
    trimmed = trim_silence(utterance, keep_seconds=0.02)

    joined = join([(trimmed, 0.5), (trimmed, 0.0)])

    (between,) = [pause for pause in pauses(joined) if pause > 0.1]
    assert between == pytest.approx(0.5 + 2 * 0.02, abs=0.02)
    assert clicks(joined.samples, RATE) == []


def pauses(waveform: Waveform) -> list[float]:
    """How long it is silent, each time."""
    loud = np.flatnonzero(np.abs(waveform.samples) > 0.01)
    return [float(step) / waveform.sample_rate for step in np.diff(loud) if step > 1]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100])
def test_resampling_keeps_a_tone_its_pitch_level_and_length(rate: int) -> None:
    samples = resample(fade_edges(tone(1.0, 440, rate=rate), 0.05).samples, rate, RATE)
    spectrum = np.abs(np.fft.rfft(samples))

    assert len(samples) == RATE
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)
    assert speech_level(samples, RATE) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.3)


def noise(peak: float) -> Signal:
    samples = np.random.default_rng(1).standard_normal(RATE)
    return samples / np.max(np.abs(samples)) * peak


def test_the_limiter_keeps_every_sample_under_the_ceiling() -> None:
    limited = limit_peaks(noise(4.0), RATE, ceiling_dbfs=-1.0)

    assert np.max(np.abs(limited)) <= 10 ** (-1 / 20) + 1e-9


def test_the_limiter_leaves_quiet_sound_alone() -> None:
    np.testing.assert_array_equal(limit_peaks(noise(0.5), RATE), noise(0.5))


def test_the_speech_level_ignores_pauses() -> None:
    sound = tone(0.5).samples.astype(np.float64)
    with_pause = np.concatenate([sound, np.zeros(RATE), sound])

    assert speech_level(with_pause, RATE) == pytest.approx(speech_level(sound, RATE), abs=0.1)
    assert speech_level(amplify(sound, 6), RATE) == pytest.approx(speech_level(sound, RATE) + 6)

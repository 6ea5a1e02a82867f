"""Loudness is what EBU R 128 says: its test signals, and what FFmpeg's meter reads."""

from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import pytest
from av.error import BlockingIOError as NothingYet
from av.filter import Graph

from audio.loudness import SILENT_LUFS, LoudnessMeter, Measured
from audio.peaks import SILENT_DB
from audio.waveform import Samples, Waveform, silence
from tests.sounds import speech

ONE_CHANNEL = 3.01  # dB: the signals of EBU Tech 3341 are on two channels


def measured(waveform: Waveform, *, piece: int = 5_000) -> Measured:
    meter = LoudnessMeter(waveform.sample_rate)
    for start in range(0, len(waveform.samples), piece):
        meter.push(waveform.samples[start : start + piece])
    return meter.result()


def tones(*parts: tuple[float, float], rate: int = 48_000) -> Waveform:
    """1 kHz at a level in dBFS for some seconds, then at the next."""
    levels = np.concatenate([np.full(round(seconds * rate), 10 ** (level / 20)) for level, seconds in parts])
    return Waveform((levels * np.sin(2 * np.pi * 1000 * np.arange(len(levels)) / rate)).astype(np.float32), rate)


def by_ffmpeg(waveform: Waveform) -> dict[str, float]:
    """What the filter `ebur128` of FFmpeg reads."""
    graph = cast(Any, Graph())
    base = Fraction(1, waveform.sample_rate)
    source = graph.add_abuffer(sample_rate=waveform.sample_rate, format="flt", layout="mono", time_base=base)
    meter, sink = graph.add("ebur128", "peak=true:metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    last: dict[str, Any] = {}
    for start in range(0, len(waveform.samples), 4_800):
        frame = av.AudioFrame.from_ndarray(waveform.samples[np.newaxis, start : start + 4_800], "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = waveform.sample_rate, start, base
        source.push(frame)
        try:
            while True:
                last = sink.pull().metadata or last
        except NothingYet:
            pass
    return {key: float(value) for key, value in last.items()}


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize(
    "parts",
    [
        [(-23.0, 20.0)],
        [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)],
        [(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)],
        [(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)],
    ],
    ids=["case 1", "case 3", "case 4", "case 5"],
)
def test_the_signals_of_ebu_tech_3341_read_minus_23(parts: list[tuple[float, float]], rate: int) -> None:
    assert measured(tones(*parts, rate=rate)).integrated_lufs == pytest.approx(-23 - ONE_CHANNEL, abs=0.1)


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_ffmpegs_meter_reads_the_same_of_speech(rate: int) -> None:
    sound = speech(30, rate, seed=4)
    reference = by_ffmpeg(sound)

    found = measured(sound)

    assert found.integrated_lufs == pytest.approx(reference["lavfi.r128.I"], abs=0.1)
    assert found.peak_db == pytest.approx(20 * np.log10(reference["lavfi.r128.true_peak"]), abs=0.2)


def test_a_peak_between_two_samples_is_seen() -> None:
    """EBU Tech 3341, case 16: a quarter of the rate, at 45 degrees, so that each sample is 3 dB under the top."""
    quarter = Waveform((0.5 * np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4)).astype(np.float32), 48_000)
    smooth = Waveform(quarter.samples * np.hanning(48_000).astype(np.float32), 48_000)

    assert np.max(np.abs(smooth.samples)) < 0.36
    assert measured(smooth).peak_db == pytest.approx(-6, abs=0.2)


def test_rms_is_that_of_everything() -> None:
    sine = tones((-20.0, 2.0))
    with_pause = Waveform(np.concatenate([sine.samples, np.zeros_like(sine.samples)]), sine.sample_rate)

    assert measured(sine).rms_db == pytest.approx(-23.01, abs=0.01)
    assert measured(with_pause).rms_db == pytest.approx(-26.02, abs=0.01)
    assert measured(with_pause).integrated_lufs == pytest.approx(measured(sine).integrated_lufs, abs=0.4)


def test_the_noise_floor_is_the_quietest_half_second() -> None:
    noise = np.random.default_rng(1).normal(0, 0.001, 10 * 24_000).astype(np.float32)
    sound = noise.copy()
    sound[: 4 * 24_000] += speech(4).samples[: 4 * 24_000]
    sound[int(4.8 * 24_000) :] += speech(7).samples[: len(sound) - int(4.8 * 24_000)]

    found = measured(Waveform(sound, 24_000))

    assert found.noise_floor_db == pytest.approx(-60, abs=0.5)
    assert found.rms_db > -30


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.3, 3.0])
def test_silence_has_no_level(seconds: float) -> None:
    assert measured(silence(seconds, 24_000)) == Measured(SILENT_LUFS, SILENT_DB, SILENT_DB, SILENT_DB, seconds)


def test_a_sound_shorter_than_half_a_second_is_its_own_noise_floor() -> None:
    found = measured(tones((-20.0, 0.3)))

    assert found.noise_floor_db == found.rms_db
    assert found.integrated_lufs == SILENT_LUFS  # of which R 128 says nothing: a block is 0.4 s


@pytest.mark.parametrize("piece", [1, 777, 100_000])
def test_however_many_pieces_it_comes_in_it_measures_the_same(piece: int) -> None:
    sound = speech(2, 16_000)
    short = Waveform(sound.samples[:20_001], 16_000)

    assert measured(short, piece=piece) == measured(short)


def test_levels_beyond_full_scale_are_read_as_they_are() -> None:
    loud: Samples = 2 * tones((0.0, 1.0)).samples

    assert measured(Waveform(loud, 48_000)).peak_db == pytest.approx(6.02, abs=0.05)

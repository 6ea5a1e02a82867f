"""A waveform and what can be done to it: resample, trim, fade, level, join."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Signal = NDArray[np.float64]  # the same, while it is being worked on

FADE_SECONDS = 0.005  # under one period of a low voice: no click, and no sound lost
SILENCE_DBFS = -50.0  # below this, measured against full scale, a frame is silence
FRAME_SECONDS = 0.01
CEILING_DBFS = -1.2  # a little under -1, as a lossy encoder overshoots


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono sound: float32 samples in [-1, 1], shape (n,), and their rate in Hz."""

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def silence(seconds: float, sample_rate: int) -> Waveform:
    return Waveform(np.zeros(round(seconds * sample_rate), np.float32), sample_rate)


def fade_edges(waveform: Waveform, seconds: float = FADE_SECONDS) -> Waveform:
    """Fade in and out over a few ms, so that whatever stands beside it makes no click."""
    return fade_out(fade_in(waveform, seconds), seconds)


def fade_in(waveform: Waveform, seconds: float = FADE_SECONDS) -> Waveform:
    """Fade in only: for the first piece of a waveform that comes in pieces, `fade_out` being for the last."""
    ramp = _ramp(waveform, seconds)
    samples = waveform.samples.copy()
    samples[: len(ramp)] *= ramp
    return replace(waveform, samples=samples)


def fade_out(waveform: Waveform, seconds: float = FADE_SECONDS) -> Waveform:
    ramp = _ramp(waveform, seconds)
    samples = waveform.samples.copy()
    samples[len(samples) - len(ramp) :] *= ramp[::-1]
    return replace(waveform, samples=samples)


def _ramp(waveform: Waveform, seconds: float) -> Samples:
    n = min(round(seconds * waveform.sample_rate), len(waveform.samples) // 2)
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / max(n, 1))).astype(np.float32)  # starts at exactly 0


def join(parts: Sequence[tuple[Waveform, float]]) -> Waveform:
    """Join waveforms of one rate, each with the seconds of silence that follow it.

    A long recording is joined piece by piece the same way: write `fade_edges(piece)`, then `silence(pause)`.
    """
    rates = {waveform.sample_rate for waveform, _ in parts}
    if len(rates) != 1:
        raise ValueError(f"waveforms of one sample rate can be joined; these have {sorted(rates)}")
    (rate,) = rates
    pieces = [piece for waveform, pause in parts for piece in (fade_edges(waveform), silence(pause, rate))]
    return Waveform(np.concatenate([piece.samples for piece in pieces]), rate)


def speech_bounds(samples: Samples | Signal, rate: int, threshold_dbfs: float = SILENCE_DBFS) -> tuple[int, int]:
    """First and last sample (exclusive) of what is louder than silence; (0, 0) when nothing is."""
    loud = np.flatnonzero(frame_levels(samples, rate) > threshold_dbfs)
    if len(loud) == 0:
        return 0, 0
    frame = round(FRAME_SECONDS * rate)
    return int(loud[0]) * frame, min((int(loud[-1]) + 1) * frame, len(samples))


def trim_silence(waveform: Waveform, keep_seconds: float = 0.0) -> Waveform:
    """Cut the silence at both ends, but for `keep_seconds` of it."""
    start, end = speech_bounds(waveform.samples, waveform.sample_rate)
    keep = round(keep_seconds * waveform.sample_rate)
    return replace(waveform, samples=waveform.samples[max(0, start - keep) : end + keep])


def frame_levels(samples: Samples | Signal, rate: int) -> Signal:
    """Level of each 10 ms frame in dBFS, shape (frames,)."""
    frame = round(FRAME_SECONDS * rate)
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    return 10 * np.log10(np.mean(padded.reshape(-1, frame) ** 2, axis=1) + 1e-12)


def speech_level(samples: Samples | Signal, rate: int) -> float:
    """RMS level in dBFS of the frames within 30 dB of the loudest: of the speech, not of its pauses."""
    levels = frame_levels(samples, rate)
    speech = levels[levels > np.max(levels, initial=-120.0) - 30]
    return float(10 * np.log10(np.mean(10 ** (speech / 10)))) if len(speech) else -120.0


def amplify(samples: Signal, decibels: float) -> Signal:
    return samples * 10 ** (decibels / 20)


def limit_peaks(samples: Signal, rate: int, ceiling_dbfs: float = CEILING_DBFS) -> Signal:
    """Turn the gain down smoothly around each peak above the ceiling; quieter parts stay as they are."""
    ceiling = 10 ** (ceiling_dbfs / 20)
    if np.max(np.abs(samples), initial=0.0) <= ceiling:
        return samples
    reach = round(0.004 * rate)
    needed = np.minimum(1.0, ceiling / np.maximum(np.abs(samples), 1e-9))
    lowest = sliding_window_view(np.pad(needed, 2 * reach, constant_values=1.0), 2 * reach + 1).min(axis=1)
    window = np.hanning(2 * reach + 3)[1:-1]
    return samples * np.convolve(lowest, window / window.sum(), mode="valid")  # each gain <= what its peak needs


def resample(samples: Samples | Signal, rate: int, new_rate: int) -> Signal:
    """Band-limited resampling through the spectrum: exact for the whole signal, and numpy's FFT is fast.

    Both ends get 20 ms of silence while it happens, because a spectrum sees the end beside the start.
    """
    if rate == new_rate:
        return samples.astype(np.float64)
    step, new_step = rate // gcd(rate, new_rate), new_rate // gcd(rate, new_rate)
    margin = -(-rate // 50 // step) * step
    n = _fast_length(-(-(len(samples) + 2 * margin) // step))
    padded = np.zeros(n * step)
    padded[margin : margin + len(samples)] = samples
    spectrum = np.fft.rfft(padded)
    resized = np.zeros(n * new_step // 2 + 1, np.complex128)
    kept = min(len(spectrum), len(resized))
    resized[:kept] = spectrum[:kept]
    sound = np.fft.irfft(resized, n * new_step) * new_step / step
    start = margin // step * new_step
    return sound[start : start + len(samples) * new_rate // rate]


def _fast_length(least: int) -> int:
    """The next number made of twos, threes and fives: an FFT of a large prime is several times slower."""
    n = least
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1

"""Peaks, also those between the samples: measured, and limited, piece by piece.

What a player puts between two samples may be higher than both. What it reaches is the true peak (dBTP) of BS.1770-4,
read as its annex 2 says: at four times as many points.
"""

import math
from collections.abc import Iterator

import numpy as np

from audio.pieces import BLOCK_SAMPLES, Blocks
from audio.waveform import Samples, Signal

SILENT_DB = -120.0  # instead of minus infinity

_REACH = 12  # samples on each side of a point between two; annex 2 does with 6, and reads up to 0.6 dB less
_LOOK_AHEAD_SECONDS = 0.004


def _interpolator(shift: float) -> Signal:
    """The filter for the point that lies `shift` of a sample behind a sample: a windowed sinc."""
    distance = np.arange(1 - _REACH, _REACH + 1) - shift
    taps = np.sinc(distance) * np.cos(np.pi * distance / (2 * _REACH + 1)) ** 2
    return taps / taps.sum()


_INTERPOLATORS = [_interpolator(shift) for shift in (0.25, 0.5, 0.75)]


# How much higher than the samples around it a point between them can be: no interpolator makes more of them.
_HIGHEST = max(float(np.abs(interpolator).sum()) for interpolator in _INTERPOLATORS)
_STRETCH = 256  # samples, which are read between only if one of them is so high that it matters


def true_peaks(signal: Signal, *, least: float = 0.0) -> Signal:
    """Return the largest value from each sample to the next: of 2n samples, those of the n in the middle, and one.

    Args:
        least: what is no higher need not be right; most of a recording is not near its peaks.
    """
    peaks = np.abs(signal[_REACH - 1 : len(signal) - _REACH])
    for start in _STRETCH * np.flatnonzero(_highest(np.abs(signal), len(peaks)) * _HIGHEST > least):
        around, found = signal[start : start + _STRETCH + 2 * _REACH - 1], peaks[start : start + _STRETCH]
        for interpolator in _INTERPOLATORS:
            np.maximum(found, np.abs(np.correlate(around, interpolator, "valid")), out=found)
    return peaks


def _highest(levels: Signal, count: int) -> Signal:
    """Return for each stretch of so many points the highest of the samples that they are read from."""
    starts = np.arange(0, count, _STRETCH)
    highest = np.maximum.reduceat(levels, starts) if count else np.zeros(0)  # the last goes to the end
    return np.maximum(highest, np.append(highest[1:], 0.0))  # they reach into the next stretch


class PeakMeter:
    """Takes the pieces of one recording."""

    def __init__(self) -> None:
        self._held = np.zeros(_REACH)  # silence in front
        self._peak = 0.0

    def push(self, samples: Samples) -> None:
        signal = np.concatenate([self._held, samples.astype(np.float64)])
        if len(signal) >= 2 * _REACH:
            self._peak = max(self._peak, float(true_peaks(signal, least=self._peak).max()))
            signal = signal[len(signal) - 2 * _REACH + 1 :]
        self._held = signal

    def result_db(self) -> float:
        self.push(np.zeros(_REACH, np.float32))
        return max(20 * math.log10(self._peak), SILENT_DB) if self._peak > 0 else SILENT_DB


class Limiter:
    """Turns the gain down smoothly around each true peak above the ceiling; what is quieter stays as it is.

    It looks ahead, so that what comes out is late; `rest` returns what is missing. The samples are the same in however
    many pieces they come.
    """

    def __init__(self, sample_rate: int, ceiling_db: float) -> None:
        self._ceiling = 10 ** (ceiling_db / 20)
        self._look = round(_LOOK_AHEAD_SECONDS * sample_rate)
        window = np.hanning(2 * self._look + 3)[1:-1]
        self._smooth = window / window.sum()
        self._margin = 2 * self._look + _REACH
        self._held: Samples = np.zeros(self._margin, np.float32)
        self._blocks = Blocks(BLOCK_SAMPLES)

    def push(self, samples: Samples) -> Iterator[Samples]:
        for block in self._blocks.push(samples):
            yield self._next(block)

    def rest(self) -> Samples:
        return self._next(np.concatenate([self._blocks.rest(), np.zeros(self._margin, np.float32)]))

    def _next(self, block: Samples) -> Samples:
        held = np.concatenate([self._held, block])
        self._held = held[len(held) - 2 * self._margin :]
        middle = held[self._margin : len(held) - self._margin]
        needed = self._needed(held.astype(np.float64))
        if needed.min(initial=1.0) == 1:
            return middle
        lowest = _moving_minimum(needed, 2 * self._look + 1)
        return (middle * np.convolve(lowest, self._smooth, "valid")).astype(np.float32)

    def _needed(self, signal: Signal) -> Signal:
        """The gain that each sample needs, for the points before and behind it."""
        peaks = true_peaks(signal, least=self._ceiling)
        return np.minimum(1.0, self._ceiling / np.maximum(np.maximum(peaks[:-1], peaks[1:]), 1e-9))


def _moving_minimum(values: Signal, width: int) -> Signal:
    size = 1
    while 2 * size <= width:
        values = np.minimum(values[:-size], values[size:])
        size *= 2
    return np.minimum(values[: len(values) - (width - size)], values[width - size :])

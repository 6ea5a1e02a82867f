"""A waveform that comes in pieces of any length: cut into blocks of one length, and resampled."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
import numpy as np

from audio.waveform import Samples

BLOCK_SAMPLES = 32768  # into whatever takes any number

# libswresample's windowed sinc, twice as long as its default: the images of a tone stay under -100 dB.
_RESAMPLER = {"filter_size": "64", "cutoff": "0.97"}


class Blocks:
    """Cut pieces of any length into blocks of one length."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Iterator[Samples]:
        held = np.concatenate([self._held, samples])
        whole = len(held) - len(held) % self._size
        self._held = held[whole:]
        return (held[start : start + self._size] for start in range(0, whole, self._size))

    def rest(self) -> Samples:
        return self._held


class Resampler:
    """Change the rate of samples that come in blocks; their number comes out exact."""

    def __init__(self, source_rate: int, sample_rate: int) -> None:
        self._source_rate = source_rate
        self._sample_rate = sample_rate
        self._swr = av.AudioResampler("flt", "mono", sample_rate, options=_RESAMPLER)
        self._taken = 0
        self._given = 0

    def push(self, samples: Samples) -> Samples:
        if self._source_rate == self._sample_rate or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = self._source_rate
        frame.time_base = Fraction(1, self._source_rate)
        frame.pts = self._taken
        self._taken += len(samples)
        return self._counted(self._swr.resample(frame))

    def rest(self) -> Samples:
        """Return what the filter still holds, cut or filled with silence to the exact length."""
        due = -(-self._taken * self._sample_rate // self._source_rate) - self._given  # rounded up: never none of one
        last = self._counted(self._swr.resample(None))[: max(due, 0)]
        return np.pad(last, (0, max(due - len(last), 0)))

    def _counted(self, frames: list[av.AudioFrame]) -> Samples:
        samples = np.concatenate([np.zeros(0, np.float32), *map(mono_samples, frames)])
        self._given += len(samples)
        return samples


def mono_samples(frame: av.AudioFrame) -> Samples:
    return cast(Samples, frame.to_ndarray()[0])

"""How loud audio is: measured piece by piece, whatever its length, after ITU-R BS.1770-4 and EBU R 128.

One channel. The same voice on both channels of a stereo file measures 3 LU more: -19 LUFS here is -16 LUFS there.
"""

import math
from dataclasses import dataclass

import numpy as np

from audio.peaks import SILENT_DB, PeakMeter
from audio.pieces import Blocks
from audio.waveform import Samples, Signal

SILENT_LUFS = -70.0  # BS.1770's absolute gate: what is quieter is not heard as part of the programme

_HOP_SECONDS = 0.1  # gating blocks of 0.4 s overlap by three quarters
_GATING_HOPS = 4
_NOISE_HOPS = 5
_BLOCK_HOPS = 52
_IMPULSE_SECONDS = 0.2  # by then the filter's response is below 1e-15


@dataclass(frozen=True)
class Measured:
    """What a meter read.

    The noise floor is the RMS of the quietest half second, as the "ACX Check" of Audacity reads it; a recording that
    is shorter has that of the whole.
    """

    integrated_lufs: float
    rms_db: float  # of everything, pauses included, against a full scale square wave
    peak_db: float  # true peak, dBTP: also between the samples
    noise_floor_db: float
    seconds: float


class LoudnessMeter:
    """Takes the pieces of one recording. Holds a few seconds, and two numbers for each tenth of a second."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._hop = round(_HOP_SECONDS * sample_rate)
        self._blocks = Blocks(_BLOCK_HOPS * self._hop)
        self._weighting = _KWeighting(sample_rate, _BLOCK_HOPS * self._hop)
        self._peak = PeakMeter()
        self._plain: list[Signal] = []  # mean squares of the hops
        self._weighted: list[Signal] = []
        self._energy = 0.0
        self._count = 0

    def push(self, samples: Samples) -> None:
        for block in self._blocks.push(samples):
            self._take(block)

    def result(self) -> Measured:
        """Return what all the pieces measure; none may come after it."""
        self._take(self._blocks.rest())
        plain = np.concatenate([np.zeros(0), *self._plain])
        rms = decibels(self._energy / max(self._count, 1))
        windows = moving_mean(plain, _NOISE_HOPS)
        return Measured(
            integrated_lufs=_gated(np.concatenate([np.zeros(0), *self._weighted])),
            rms_db=rms,
            peak_db=self._peak.result_db(),
            noise_floor_db=decibels(float(windows.min())) if len(windows) else rms,
            seconds=self._count / self._rate,
        )

    def _take(self, block: Samples) -> None:
        signal = block.astype(np.float64)
        self._count += len(signal)
        self._energy += float(np.sum(signal * signal))  # np.dot starts threads
        self._peak.push(block)
        self._plain.append(self._mean_squares(signal))
        self._weighted.append(self._mean_squares(self._weighting.push(signal)))

    def _mean_squares(self, signal: Signal) -> Signal:
        whole = len(signal) - len(signal) % self._hop
        return np.mean(signal[:whole].reshape(-1, self._hop) ** 2, axis=1)


class _KWeighting:
    """The K filter of BS.1770 for any rate, as a convolution: two biquads one sample at a time are slow in Python."""

    def __init__(self, sample_rate: int, longest_block: int) -> None:
        response = _impulse_response(sample_rate)
        self._size = 1 << (longest_block + len(response)).bit_length()
        self._spectrum = np.fft.rfft(response, self._size)
        self._tail = np.zeros(len(response) - 1)

    def push(self, block: Signal) -> Signal:
        product = np.fft.rfft(block, self._size) * self._spectrum
        filtered = np.fft.irfft(product, self._size)[: len(block) + len(self._tail)]
        filtered[: len(self._tail)] += self._tail
        self._tail = filtered[len(block) :].copy()
        return filtered[: len(block)]


def _impulse_response(sample_rate: int) -> Signal:
    impulse = [1.0] + [0.0] * (round(_IMPULSE_SECONDS * sample_rate) - 1)
    return np.array(_biquad(_biquad(impulse, *_shelf(sample_rate)), *_high_pass(sample_rate)))


_Coefficients = tuple[float, float, float]


def _shelf(sample_rate: int) -> tuple[_Coefficients, _Coefficients]:
    """The head: +4 dB above 1.7 kHz.

    BS.1770 prints coefficients for 48 kHz only; these are the analogue filters that give them, as in libebur128.
    """
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    numerator = ((high + band * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / q + k * k) / a0)
    return numerator, (1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0)


def _high_pass(sample_rate: int) -> tuple[_Coefficients, _Coefficients]:
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    a0 = 1 + k / q + k * k
    return (1.0, -2.0, 1.0), (1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0)


def _biquad(samples: list[float], b: _Coefficients, a: _Coefficients) -> list[float]:
    filtered: list[float] = []
    first = second = 0.0
    for x in samples:
        y = b[0] * x + first
        first, second = b[1] * x - a[1] * y + second, b[2] * x - a[2] * y
        filtered.append(y)
    return filtered


def _gated(hops: Signal) -> float:
    """Integrated loudness: the mean over the blocks above -70 LUFS and above 10 LU under their own mean."""
    blocks = moving_mean(hops, _GATING_HOPS)
    heard = blocks[_lufs(blocks) > SILENT_LUFS]
    if not len(heard):
        return SILENT_LUFS
    gate = float(_lufs(heard.mean())) - 10
    return float(_lufs(heard[_lufs(heard) > gate].mean()))


def _lufs(mean_squares: Signal | np.float64) -> Signal:
    return -0.691 + 10 * np.log10(np.maximum(mean_squares, 1e-30))


def moving_mean(values: Signal, width: int) -> Signal:
    return np.convolve(values, np.full(width, 1 / width), "valid") if len(values) >= width else np.zeros(0)


def decibels(mean_square: float) -> float:
    return max(10 * math.log10(mean_square), SILENT_DB) if mean_square > 0 else SILENT_DB

"""How one voice is made like another: what is done to its analyzed speech, and the numbers that this is kept as."""

from dataclasses import astuple, dataclass, replace
from typing import Self

import numpy as np

from audio.waveform import Signal
from worker.engine.builtin.prosody import breathy
from worker.engine.builtin.world import Analysis, bin_frequencies

BAND_HERTZ = 80.0 * 90.0 ** (np.arange(48) / 47)  # to 7.2 kHz: the encoder hears up to 8
LIKENESS_VERSION = 1.0  # raise it when other numbers are found for a clip, or the same ones are heard differently

_FORMANTS_END, _WARP_END = 4_000.0, 8_000.0  # Hz


@dataclass(frozen=True)
class Likeness:
    """What is done. Its numbers are flat: the version, the fields in this order, and the gains one by one."""

    from_octaves: float  # log2 Hz: the median pitch of the voice that it begins with
    to_octaves: float  # log2 Hz: the median pitch that it gets
    stretch: float  # factor on the distance from the median, in octaves
    warp: float  # factor on the places of the formants
    breath: float  # 0 to 1: share of the tone above 2 kHz that becomes noise
    gains: tuple[float, ...]  # dB at BAND_HERTZ, behind the warp

    def numbers(self) -> tuple[float, ...]:
        *fields, gains = astuple(self)
        return (LIKENESS_VERSION, *fields, *gains)

    @classmethod
    def of(cls, numbers: tuple[float, ...]) -> Self:
        """Return the likeness of these numbers.

        Raises:
            ValueError: they are no likeness.
        """
        length = 1 + _SINGLE + len(BAND_HERTZ)
        if len(numbers) != length or numbers[0] != LIKENESS_VERSION:
            raise ValueError(
                f"an imitation for the builtin engine has {length} numbers, the first of them {LIKENESS_VERSION:g}; "
                f"this one has {len(numbers)}{f', the first of them {numbers[0]:g}' if numbers else ''}"
            )
        for (name, (low, high)), number in zip(_allowed(), numbers[1:], strict=True):
            if not low <= number <= high:
                raise ValueError(f"the {name} of an imitation is {low:g} to {high:g}, not {number:g}")
        start, target, stretch, warp, breath, *gains = numbers[1:]
        return cls(start, target, stretch, warp, breath, tuple(gains))


_LIMITS = {
    "median pitch (log2 Hz)": (5.0, 10.0),
    "median pitch to be (log2 Hz)": (5.0, 10.0),
    "stretch": (0.2, 4.0),
    "warp": (0.6, 1.6),
    "breath": (0.0, 1.0),
}
_SINGLE = len(_LIMITS)
_GAIN = ("gain (dB)", (-40.0, 40.0))


def _allowed() -> list[tuple[str, tuple[float, float]]]:
    return [*_LIMITS.items(), *[_GAIN] * len(BAND_HERTZ)]


def liken(analysis: Analysis, likeness: Likeness) -> Analysis:
    """Give the voice of an analysis the likeness."""
    octaves = np.log2(np.maximum(analysis.pitch, 1.0)) - likeness.from_octaves
    pitch = np.where(analysis.voiced, 2 ** (likeness.to_octaves + octaves * likeness.stretch), 0.0)
    power = np.exp(warped(np.log(analysis.spectrum), likeness.warp))
    gains = at_bins(np.array(likeness.gains), power.shape[1])
    return replace(
        analysis, pitch=pitch, spectrum=power * 10 ** (gains / 10), breath=breathy(analysis.breath, likeness.breath)
    )


def warped(spectrum: Signal, warp: float) -> Signal:
    """Move what is at each frequency to `warp` times it; the last axis is the bins.

    Above the formants the places draw together, so that from 8 kHz all is where it was: a hiss is no longer for a
    shorter throat, and moved out of hearing it is not understood.
    """
    bins = spectrum.shape[-1]
    hertz = bin_frequencies(bins)
    places = np.interp(
        hertz, [0.0, _FORMANTS_END * warp, _WARP_END, hertz[-1]], [0.0, _FORMANTS_END, _WARP_END, hertz[-1]]
    )
    places = places / hertz[1]
    below = np.minimum(places.astype(np.int64), bins - 2)
    share = places - below
    return spectrum[..., below] * (1 - share) + spectrum[..., below + 1] * share


def at_bins(bands: Signal, bins: int) -> Signal:
    """Return values at BAND_HERTZ for each bin of a spectrum; beyond the last band its value goes on."""
    return np.interp(np.log(np.maximum(bin_frequencies(bins), 1.0)), np.log(BAND_HERTZ), bands)


def in_bands(spectrum: Signal) -> Signal:
    """Return a spectrum at BAND_HERTZ, smoothed over a tenth of an octave."""
    hertz = np.maximum(bin_frequencies(len(spectrum)), 40.0)
    distance: Signal = np.log2(BAND_HERTZ[:, None] / hertz)
    weights = np.exp(-0.5 * (distance / 0.1) ** 2) / hertz  # bins lie closer, the higher they are
    return weights @ spectrum / weights.sum(axis=1)

"""What is done to analyzed speech: emotion, and making the foreign parts of a sentence sound like its home voice.

Matching is cheap on purpose: the partner's pitch level, pitch range and average spectrum become those of the home
voice. That puts both in one register and one room. It is no voice conversion: formant places, accent and the manner of
the other program stay, and a listener still hears two synthesizers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audio.waveform import Signal
from worker.engine.builtin.emotions import Style
from worker.engine.builtin.world import FRAMES_PER_SECOND, HIGHEST_PITCH, Analysis, bin_frequencies, envelope

_MOST_EQUALIZATION_DB = 10.0
_TREMOR_HERTZ = 6.0
_LOWEST_TARGET = 50.0  # Hz


@dataclass(frozen=True, eq=False)
class Profile:
    """What makes a voice recognizable cheaply."""

    median: float  # log2 Hz
    spread: float  # standard deviation of log2 Hz
    spectrum: (
        Signal  # average log power per bin, of voiced frames of equal loudness, smoothed over a third of an octave
    )


@dataclass(frozen=True, eq=False)
class Part:
    """Frames [start, end) of an utterance that one program spoke; `partner` is set where it was not the home voice."""

    start: int
    end: int
    partner: Profile | None = None


def profile(samples: Signal) -> Profile:
    """Measure a voice from a few seconds of it."""
    pitch, spectrum = envelope(samples)
    octaves, power = np.log2(pitch[pitch > 0]), spectrum[pitch > 0]
    average = np.log(np.mean(power / power.sum(axis=1, keepdims=True), axis=0))
    return Profile(float(np.median(octaves)), float(np.std(octaves)), _smooth(average))


def _smooth(spectrum: Signal) -> Signal:
    frequencies = np.maximum(bin_frequencies(len(spectrum)), 50.0)
    distance = np.log2(frequencies[:, None] / frequencies[None, :])
    weights = np.exp(-0.5 * (distance / 0.33) ** 2)
    return weights @ spectrum / weights.sum(axis=1)


def match(analysis: Analysis, parts: Sequence[Part], home: Profile) -> Analysis:
    """Give each partner's part the home voice's pitch level, range and average spectrum."""
    pitch, spectrum = analysis.pitch.copy(), analysis.spectrum.copy()
    for part in parts:
        if part.partner is None:
            continue
        here = slice(part.start, part.end)
        stretch = float(np.clip(home.spread / max(part.partner.spread, 1e-3), 0.8, 1.3))
        voiced = pitch[here] > 0
        octaves = home.median + (np.log2(np.maximum(pitch[here], 1.0)) - part.partner.median) * stretch
        pitch[here] = np.where(voiced, 2**octaves, 0.0)
        limit = _MOST_EQUALIZATION_DB * np.log(10) / 10
        spectrum[here] *= np.exp(np.clip(home.spectrum - part.partner.spectrum, -limit, limit))
    return replace(analysis, pitch=pitch, spectrum=spectrum)


def restyle(analysis: Analysis, style: Style, generator: np.random.Generator) -> Analysis:
    """Everything of a style but its tempo and energy."""
    return replace(
        analysis,
        pitch=_pitch(analysis, style, generator),
        spectrum=analysis.spectrum * 10 ** (_tilt(style.tilt, analysis.spectrum.shape[1]) / 10),
        breath=breathy(analysis.breath, style.breath),
    )


def _pitch(analysis: Analysis, style: Style, generator: np.random.Generator) -> Signal:
    voiced = np.flatnonzero(analysis.voiced)
    if len(voiced) == 0:
        return analysis.pitch
    octaves = np.log2(analysis.pitch[voiced])
    center = np.median(octaves)
    moved = center + (octaves - center) * style.pitch_range + style.semitones / 12
    seconds = voiced / FRAMES_PER_SECOND / style.tempo
    moved += style.tremor / 12 * np.sin(2 * np.pi * (_TREMOR_HERTZ * seconds + generator.random()))
    toward_end = np.linspace(0, 1, len(voiced))
    moved += style.rise / 12 * np.clip((toward_end - 0.7) / 0.3, 0, 1)
    pitch = np.zeros_like(analysis.pitch)
    pitch[voiced] = np.clip(2**moved, _LOWEST_TARGET, HIGHEST_PITCH)
    return pitch


def _tilt(decibels_per_octave: float, bins: int) -> Signal:
    """Gain in dB per bin, 0 at 1 kHz."""
    octaves = np.log2(np.maximum(bin_frequencies(bins), 100.0) / 1000)
    return np.clip(decibels_per_octave * octaves, -12, 12)


def breathy(breath: Signal, amount: float) -> Signal:
    """Make a share of the tone above 2 kHz noise."""
    high = np.clip((bin_frequencies(breath.shape[1]) - 1000) / 2000, 0, 1)  # the low harmonics carry the pitch
    return breath + (1 - breath) * amount * high

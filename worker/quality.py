"""Whether an utterance sounds as speech of its text does. Measures of samples and text, and what they may be.

The limits are wide: they are to find what a listener would stop at (a stuck or cut utterance, a loop, a hole), and
not to judge a voice. docs/narration.md says how often they were wrong about sound speech.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from audio.waveform import Samples, Signal, frame_levels, speech_level
from shared.speech_length import estimated_seconds
from worker.engine import Speech, UnspeakableText, Utterance
from worker.engine.text.normalization import normalize
from worker.engine.text.override import without_overrides

# A text's estimated seconds at its speed, times these, and so many seconds more or less: emotions have a tempo of their
# own (0.67 to 1.4 times), voices differ as much, and short texts are mostly their beginning and end.
LONGEST_RATIO, LONGEST_EXTRA_SECONDS = 2.2, 1.0
SHORTEST_RATIO, SHORTEST_LESS_SECONDS = 0.4, 0.15
SILENT_DB = 40.0  # so far below the level of its speech, a frame is silent
MOST_SILENCE_SECONDS = 1.2  # in one stretch inside: an engine's longest pause at a mark is 0.4 s
MOST_SILENCE = 0.5  # of all of it
CLIPPED = 0.999
MOST_CLIPPED = 0.002  # of the samples: two in a thousand are heard as a crackle
QUIETEST_DBFS = -45.0  # of speech; the engines' own level is about -20
LOOP_SECONDS = (0.15, 1.5)  # how long what repeats may be: a syllable to a few words
LOOP_LIKENESS = 0.86  # correlation of a stretch's spectra with the next stretch's: under 0.75 in sound speech
HOP_SECONDS = 0.01
BANDS, MOST_HERTZ = 24, 6000.0  # of the spectra that are compared
LOOP_TIMES = 4  # as often as this in a row: nobody writes that without the text showing it


class Reason(StrEnum):
    """What is wrong with an utterance."""

    TOO_LONG = "too long for its text"
    TOO_SHORT = "too short for its text"
    SILENCE = "a long silence in it"
    CLIPPING = "clipped"
    REPETITION = "it repeats itself"
    QUIET = "too quiet"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and how much: 1 is the limit."""

    reason: Reason
    excess: float


def faults(utterance: Utterance, speech: Speech) -> list[Fault]:
    """Return what is wrong with an utterance whose silent ends have been cut off."""
    return list(_faults(utterance, speech))


def _faults(utterance: Utterance, speech: Speech) -> Iterator[Fault]:
    samples, rate = speech.waveform.samples, speech.waveform.sample_rate
    text = said(utterance.text)
    seconds, expected = speech.waveform.seconds, estimated_seconds(text) / utterance.speed
    longest = LONGEST_RATIO * expected + LONGEST_EXTRA_SECONDS
    shortest = SHORTEST_RATIO * expected - SHORTEST_LESS_SECONDS
    level = speech_level(samples, rate)
    share, longest_silence = silences(samples, rate)
    yield from _over(Reason.TOO_LONG, seconds / longest)
    yield from _over(Reason.TOO_SHORT, shortest / seconds)
    yield from _over(Reason.SILENCE, max(share / MOST_SILENCE, longest_silence / MOST_SILENCE_SECONDS))
    yield from _over(Reason.CLIPPING, clipped_share(samples) / MOST_CLIPPED)
    yield from _over(Reason.QUIET, 1 + (QUIETEST_DBFS - level + utterance.energy_shift) / 10)
    if not repeats_itself(text):
        yield from _over(Reason.REPETITION, loop_likeness(samples, rate) / LOOP_LIKENESS)


def _over(reason: Reason, excess: float) -> Iterator[Fault]:
    if excess > 1:
        yield Fault(reason, float(excess))


def said(text: str) -> str:
    """Return the text as it is read, with numbers and the like in words."""
    plain, _ = without_overrides(text)
    try:
        return " ".join(token.spoken or token.pause for token in normalize(plain))
    except UnspeakableText:  # of a part of it; the engine has left that out
        return plain


def repeats_itself(text: str) -> bool:
    """Whether the text has something several times in a row: 哈哈哈哈, no, no, no, no, two two two two."""
    letters = re.sub(r"[\W_]+", "", text.casefold())
    return re.search(rf"(.{{1,12}}?)\1{{{LOOP_TIMES - 2},}}", letters) is not None


def silences(samples: Samples, rate: int) -> tuple[float, float]:
    """Return the share of an utterance that is silent, and the seconds of its longest silence."""
    silent = frame_levels(samples, rate) < speech_level(samples, rate) - SILENT_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    runs = edges[1::2] - edges[::2]
    return float(np.mean(silent)), float(np.max(runs, initial=0)) * 0.01


def clipped_share(samples: Samples) -> float:
    """Return the share of samples at full scale whose neighbour is there too."""
    full = np.abs(samples) >= CLIPPED
    return float(np.mean(full[1:] & full[:-1])) if len(samples) > 1 else 0.0


def loop_likeness(samples: Samples, rate: int) -> float:
    """Return how much a stretch of sound is like the next and those after it, `LOOP_TIMES` in all: 1 is the same.

    For each length of a stretch, the spectra of short frames are compared with those so much later.
    """
    spectra = _spectra(samples, rate)
    most = 0.0
    for lag in range(round(LOOP_SECONDS[0] / HOP_SECONDS), round(LOOP_SECONDS[1] / HOP_SECONDS) + 1):
        width = (LOOP_TIMES - 1) * lag
        if width + lag > len(spectra):
            break
        alike = np.sum(spectra[:-lag] * spectra[lag:], axis=1)
        total = np.concatenate([[0.0], np.cumsum(alike)])
        most = max(most, float(np.max(total[width:] - total[:-width])) / width)
    return most


def _spectra(samples: Samples, rate: int) -> Signal:
    """Return the shape of the spectrum every 10 ms, of unit length: (frames, bands); that of silence is all zero."""
    hop, width = round(HOP_SECONDS * rate), round(4 * HOP_SECONDS * rate)
    if len(samples) < width:
        return np.zeros((0, BANDS))
    frames: Signal = sliding_window_view(samples, width)[::hop].astype(np.float64) * np.hanning(width)
    power: Signal = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = [round(edge) for edge in np.linspace(0, MOST_HERTZ * width / rate, BANDS + 1).tolist()]
    bands = np.stack([np.log10(power[:, low:high].sum(axis=1) + 1e-8) for low, high in pairwise(edges)], axis=1)
    levels = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    heard = levels > speech_level(samples, rate) - SILENT_DB
    shape = bands - bands.mean(axis=0, where=heard[:, None])
    return shape / np.maximum(np.linalg.norm(shape, axis=1, keepdims=True), 1e-9) * heard[:, None]

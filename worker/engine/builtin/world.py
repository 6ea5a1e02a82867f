"""The WORLD vocoder behind types: speech to pitch, spectrum and breathiness per frame, and back.

pyworld-prebuilt (MIT) wraps "WORLD: a vocoder-based high-quality speech synthesis system", IEICE
Transactions on Information and Systems E99-D (2016).
Dio with StoneMask finds the pitch: in our measurements 0.01 s for a second of speech, Harvest 0.14 s.
"""

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from audio.waveform import Signal
from worker.engine.builtin.programs import SAMPLE_RATE
from worker.engine.errors import EngineUnavailable

try:
    import pyworld
except ImportError as error:
    raise EngineUnavailable(
        "the builtin engine needs WORLD: `pip install pyworld-prebuilt`, or `pip install emotivoice-fleet[builtin]`"
    ) from error

FRAME_MILLISECONDS = 5.0
FRAMES_PER_SECOND = 1000 / FRAME_MILLISECONDS
LOWEST_PITCH, HIGHEST_PITCH = 60.0, 550.0  # Hz
VERSION = version("pyworld-prebuilt")


@dataclass(frozen=True, eq=False)
class Analysis:
    """Speech per frame of 5 ms."""

    pitch: Signal  # Hz, shape (frames,); 0 where there is no voice
    spectrum: Signal  # power, shape (frames, bins)
    breath: Signal  # share of noise, 0 to 1, shape (frames, bins)

    @property
    def voiced(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return self.pitch > 0


def track_pitch(samples: Signal, rate: int = SAMPLE_RATE) -> tuple[Signal, Signal]:
    """Pitch in Hz and time in seconds of each frame."""
    rough, times = pyworld.dio(  # pyright: ignore  # no stubs
        samples, rate, f0_floor=LOWEST_PITCH, f0_ceil=HIGHEST_PITCH, frame_period=FRAME_MILLISECONDS
    )
    pitch = pyworld.stonemask(samples, rough, times, rate)  # pyright: ignore
    return np.asarray(pitch, np.float64), np.asarray(times, np.float64)


def envelope(samples: Signal) -> tuple[Signal, Signal]:
    """Pitch and power spectrum of each frame: what an analysis has but for breath, at half its cost."""
    pitch, times = track_pitch(samples)
    spectrum = pyworld.cheaptrick(samples, pitch, times, SAMPLE_RATE)  # pyright: ignore
    return pitch, np.asarray(spectrum, np.float64)


def analyze(samples: Signal) -> Analysis:
    pitch, spectrum = envelope(samples)
    times = np.arange(len(pitch)) / FRAMES_PER_SECOND
    breath = pyworld.d4c(samples, pitch, times, SAMPLE_RATE)  # pyright: ignore
    return Analysis(pitch, spectrum, np.asarray(breath, np.float64))


def synthesize(analysis: Analysis, tempo: float) -> Signal:
    """Back to samples; tempo 2 is half as long at the same pitch."""
    parts = [np.ascontiguousarray(part) for part in (analysis.pitch, analysis.spectrum, analysis.breath)]
    samples = pyworld.synthesize(*parts, SAMPLE_RATE, FRAME_MILLISECONDS / tempo)  # pyright: ignore
    return np.asarray(samples, np.float64)


def bin_frequencies(bins: int) -> Signal:
    """Hz of each bin of a spectrum."""
    return np.linspace(0, SAMPLE_RATE / 2, bins)

"""What a listener would notice, in numbers."""

from dataclasses import dataclass

import numpy as np

from audio.waveform import speech_level
from worker.engine import Speech
from worker.engine.builtin.world import track_pitch


@dataclass(frozen=True)
class Measured:
    seconds: float
    pitch: float  # median, Hz
    pitch_range: float  # octaves from the 10th to the 90th percentile
    level: float  # dBFS
    peak: float
    voiced_share: float


def measure(speech: Speech, start: float = 0.0, end: float | None = None) -> Measured:
    """Measure the speech, or the seconds [start, end) of it."""
    rate = speech.waveform.sample_rate
    stop = None if end is None else round(end * rate)
    samples = speech.waveform.samples[round(start * rate) : stop].astype(np.float64)
    pitch, _ = track_pitch(samples)
    octaves = np.log2(pitch[pitch > 0])
    low, high = np.percentile(octaves, [10, 90])
    return Measured(
        seconds=len(samples) / rate,
        pitch=float(2 ** np.median(octaves)),
        pitch_range=float(high - low),
        level=speech_level(samples, rate),
        peak=float(np.max(np.abs(samples))),
        voiced_share=len(octaves) / len(pitch),
    )

"""What a listener would notice, in numbers."""

from dataclasses import dataclass

import numpy as np

from audio.waveform import Signal, speech_level
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
    tilt: float  # dB: what is between 1 and 5 kHz to what is below, of the frames that sound


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
        tilt=tilt(samples, rate),
    )


def tilt(samples: Signal, rate: int) -> float:
    """The alpha ratio of GeMAPS: F. Eyben et al., IEEE Transactions on Affective Computing 7 (2016)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::256] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames)) ** 2
    loudness, hertz = power.sum(axis=1), np.fft.rfftfreq(1024, 1 / rate)
    total = power[loudness > loudness.max() / 1000].sum(axis=0)
    low, high = (total[(hertz >= start) & (hertz < end)].sum() for start, end in ((50, 1000), (1000, 5000)))
    return float(10 * np.log10(high / low))

"""What can be measured of speech."""

import numpy as np

from audio.waveform import Waveform, frame_levels

SILENCE_DBFS = -50.0


def level_dbfs(heard: Waveform) -> float:
    """Return the RMS level of the whole, pauses included."""
    return float(20 * np.log10(np.sqrt(np.mean(heard.samples.astype(np.float64) ** 2)) + 1e-9))


def silent_share(heard: Waveform) -> float:
    """Return the share of 10 ms frames in which nothing is heard."""
    return float(np.mean(frame_levels(heard.samples, heard.sample_rate) < SILENCE_DBFS))


def longest_silence_seconds(heard: Waveform) -> float:
    """Return the longest stretch in which nothing is heard."""
    silent = frame_levels(heard.samples, heard.sample_rate) < SILENCE_DBFS
    longest = run = 0
    for frame in silent:
        run = run + 1 if frame else 0
        longest = max(longest, run)
    return longest / 100

"""Sounds like a voice, for tests of what is done to sound: harmonics that glide, breath, and words with pauses."""

import numpy as np

from audio.waveform import Signal, Waveform, fade_edges, join


def voice(seconds: float, rate: int = 24_000, *, pitch: float = 120.0, level: float = 0.2, seed: int = 0) -> Waveform:
    """A vowel, as if cut from the middle of a word: it begins with a peak, and ends wherever it is."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * pitch * (time + 0.01 * np.sin(2 * np.pi * 0.7 * time))
    harmonics = range(1, int(min(4_000, 0.45 * rate) / pitch))
    sound: Signal = np.sum([np.cos(n * phase) / n**2 for n in harmonics], axis=0)
    breath = np.random.default_rng(seed).normal(0, 0.002, len(time))
    return Waveform((level * (sound + breath)).astype(np.float32), rate)


def speech(seconds: float, rate: int = 24_000, *, level: float = 0.2, seed: int = 0) -> Waveform:
    """Words of a third of a second with pauses of a tenth, and silence at the end."""
    words = max(1, round(seconds / 0.45))
    random = np.random.default_rng(seed)
    pitches, levels = random.uniform(90, 160, words), level * random.uniform(0.5, 1, words)
    vowels = [voice(0.35, rate, pitch=pitches[n], level=levels[n], seed=seed + n) for n in range(words)]
    return join([(fade_edges(vowel, 0.05), 0.1) for vowel in vowels])

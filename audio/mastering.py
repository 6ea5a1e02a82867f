"""Bring a recording to a stated loudness: one gain for all of it, and a limiter for the peaks that then stand out.

The ceilings are lower than what the target asks for, since a lossy codec overshoots: MP3 of a voice by half a dB.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audio.loudness import SILENT_LUFS, Measured
from audio.peaks import SILENT_DB, Limiter
from audio.waveform import Samples, Waveform


@dataclass(frozen=True)
class Target:
    """What a recording shall measure. A level is LUFS, or RMS in dB if `rms` is set."""

    level: float
    ceiling_db: float  # of the limiter, true peak
    peak_db: float  # what the target allows
    rms: bool = False
    tolerance: float = 1.0
    noise_floor_db: float = 0.0
    mp3_bit_rate: int | None = None  # what it asks for, at 32 kHz and more: MP3 has no such rate below

    def gain_db(self, measured: Measured) -> float:
        """Return the gain that takes it there; none for silence, which has no level."""
        level, silent = self._level(measured)
        return 0.0 if level <= silent else self.level - level

    def misses(self, measured: Measured) -> tuple[str, ...]:
        """Return a sentence for each bound that a recording doesn't keep."""
        level, _ = self._level(measured)
        unit = "dB RMS" if self.rms else "LUFS"
        found: list[str] = []
        if abs(level - self.level) > self.tolerance:
            found.append(f"loudness is {level:.1f} {unit}; wanted is {self.level:g}, {self.tolerance:g} more or less")
        if measured.peak_db > self.peak_db:
            found.append(f"the peak is {measured.peak_db:.1f} dBTP; {self.peak_db:g} is allowed")
        if measured.noise_floor_db > self.noise_floor_db:
            found.append(f"the noise floor is {measured.noise_floor_db:.1f} dB; {self.noise_floor_db:g} is allowed")
        return tuple(found)

    def _level(self, measured: Measured) -> tuple[float, float]:
        return (measured.rms_db, SILENT_DB) if self.rms else (measured.integrated_lufs, SILENT_LUFS)


# A file of one channel. Podcasts are to measure -16 LUFS in stereo and -19 in mono, which is as loud: a player sends
# one channel to both sides. `podcast-16` is for shops that ask for -16 of any file.
# ACX (Audible): RMS from -23 to -18 dB, peaks up to -3 dB, a noise floor of at most -60 dB, MP3 of 192 kbit/s at
# 44.1 kHz.
TARGETS: dict[str, Target | None] = {
    "none": None,
    "podcast": Target(-19.0, ceiling_db=-1.5, peak_db=-1.0),
    "podcast-16": Target(-16.0, ceiling_db=-1.5, peak_db=-1.0),
    "acx": Target(
        -20.0, ceiling_db=-3.6, peak_db=-3.0, rms=True, tolerance=2.0, noise_floor_db=-60.0, mp3_bit_rate=192_000
    ),
}


def mastered(pieces: Iterable[Waveform], target: Target, *, gain_db: float) -> Iterator[Samples]:
    """Yield the pieces of one recording with the gain, and limited; their number of samples stays."""
    limiter: Limiter | None = None
    gain = np.float32(10 ** (gain_db / 20))
    for piece in pieces:
        limiter = limiter or Limiter(piece.sample_rate, target.ceiling_db)
        yield from limiter.push(piece.samples * gain)
    if limiter:
        yield limiter.rest()

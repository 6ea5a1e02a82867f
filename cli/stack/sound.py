"""Look into an audio file: does it hold sound, how much and how loud?"""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np

from cli.stack.errors import StackError

SILENCE_DBFS = -50.0  # speech lies near -20; noise that nobody hears lies below


@dataclass(frozen=True)
class Sound:
    """How long an audio file plays, and its level as RMS below full scale."""

    seconds: float
    level_dbfs: float


def measure(path: Path) -> Sound:
    """Decode the whole file.

    Raises:
        StackError: it does not decode, or holds nothing but silence.
    """
    samples, total = 0, 0.0
    resampler = av.AudioResampler(format="flt", layout="mono")
    try:
        with av.open(str(path)) as container:
            rate = container.streams.audio[0].rate
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    waveform = piece.to_ndarray()
                    samples += waveform.size
                    total += float(np.sum(np.square(waveform, dtype=np.float64)))
    except (av.error.FFmpegError, IndexError) as error:
        raise StackError(f"{path} is not audio: {error}") from error
    level = 10 * math.log10(total / samples) if total else -math.inf
    if level < SILENCE_DBFS:
        raise StackError(f"{path} is silent: {samples} samples at {level:.0f} dBFS")
    return Sound(seconds=samples / rate, level_dbfs=level)

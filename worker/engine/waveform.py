"""A waveform and what can be done to it: level, trim, join."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono sound: float32 samples in [-1, 1], shape (n,), and their rate in Hz."""

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

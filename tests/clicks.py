"""Clicks in a waveform: where it breaks off instead of going on.

Of a smooth sound, the second difference is as small as its neighbours; where it was cut, it stands out. It is measured
against the mean square of those within 5 ms on either side; what is below -60 dBFS is no click that one hears.
"""

import numpy as np

from audio.waveform import Samples, Signal

NEIGHBOURS_SECONDS = 0.005
AUDIBLE = 0.001
STANDS_OUT = 40.0  # times: the hardest onset that the builtin voices were seen to have is 30


def clicks(samples: Samples, rate: int) -> list[float]:
    """Return where the clicks are, in seconds."""
    places = np.flatnonzero(sharpness(samples, rate) > STANDS_OUT)
    return [float(place) / rate for place in places]


def sharpness(samples: Samples, rate: int) -> Signal:
    """How far each sample's second difference stands out among its neighbours, on the quieter side; 0 if inaudible."""
    padded = np.pad(samples.astype(np.float64), 1)
    bend = np.abs(np.diff(padded, 2))
    reach = round(NEIGHBOURS_SECONDS * rate)
    power = np.concatenate([np.zeros(reach + 2), bend**2, np.zeros(reach + 2)])
    total = np.concatenate([[0.0], np.cumsum(power)])
    means = (total[reach:] - total[:-reach]) / reach  # of the `reach` values from each place on
    n = len(bend)
    before = means[:n]  # from place - reach - 2 to place - 2
    after = means[reach + 4 : reach + 4 + n]
    level = np.sqrt(np.maximum(before, after))
    return np.where(bend > AUDIBLE, bend / np.maximum(level, AUDIBLE / 10), 0.0)

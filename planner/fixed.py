"""A fleet that never changes, to compare with."""

import heapq
import math

import numpy as np
from numpy.typing import NDArray

from planner.trace import Trace


def waits(trace: Trace, workers: int) -> NDArray[np.float64]:
    """Return each job's wait, in seconds, where so many workers are always warm.

    Source: Kiefer and Wolfowitz (1955): a job begins when it has come and the worker that is free first is free.
    """
    free = [0.0] * workers
    waited = np.empty(len(trace))
    for job, (arrival, seconds) in enumerate(zip(trace.arrivals.tolist(), trace.engine_seconds.tolist(), strict=True)):
        begins = max(free[0], arrival)
        waited[job] = begins - arrival
        heapq.heapreplace(free, begins + seconds)
    return waited


def smallest(trace: Trace, *, p99: float, after: float = 0) -> int:
    """Return the fewest workers that are always there with which 99 % of the jobs since `after` wait at most so long.

    Args:
        p99: in seconds.
        after: a second of the trace.
    """
    least, most = 1, max(1, math.ceil(float(trace.engine_seconds.sum()) / trace.duration))
    while not _suffices(trace, most, p99, after):
        least, most = most + 1, most * 2
    while least < most:
        middle = (least + most) // 2
        if _suffices(trace, middle, p99, after):
            most = middle
        else:
            least = middle + 1
    return most


def quantile(values: NDArray[np.float64], share: float) -> float:
    """Return the least value that this share does not exceed: 0 of nothing, infinite where jobs never began."""
    if not len(values):
        return 0
    return float(np.quantile(np.nan_to_num(values, nan=math.inf), share, method="inverted_cdf"))


def _suffices(trace: Trace, workers: int, p99: float, after: float) -> bool:
    return quantile(waits(trace, workers)[trace.arrivals >= after], 0.99) <= p99

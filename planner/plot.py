"""A report as a picture. Needs matplotlib, which is the extra `plot`."""

from pathlib import Path
from typing import Any

import numpy as np

from planner.errors import PlanError
from planner.simulation import Outcome
from planner.trace import Trace

BINS = 120  # columns of what is counted over time
HOURS_FROM = 7200.0  # seconds; longer traces are drawn in hours


def draw(path: Path, trace: Trace, outcome: Outcome, *, title: str) -> None:
    """Write a PNG: the load and what waits, the workers, and how long jobs waited, over time.

    Raises:
        PlanError: matplotlib is not there, or the file can't be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlanError(
            "a PNG needs matplotlib, which is not installed: pip install 'emotivoice-fleet[plot]'"
        ) from error
    unit, scale = ("h", 3600.0) if trace.duration > HOURS_FROM else ("s", 1.0)
    figure: Any = Figure(figsize=(10, 8), layout="constrained")  # matplotlib's types are partly unknown
    load, workers, waits = figure.subplots(3, 1, sharex=True)
    figure.suptitle(title, fontsize=10)
    edges = np.linspace(0, trace.duration, BINS + 1)
    counts, _ = np.histogram(trace.arrivals, edges)
    middles = (edges[:-1] + edges[1:]) / 2 / scale
    load.plot(middles, counts / (edges[1] - edges[0]), label="jobs/s")
    times = np.array([each.at for each in outcome.samples]) / scale
    load.plot(times, [each.waiting for each in outcome.samples], label="waiting", linewidth=0.8)
    load.set_yscale("symlog")
    workers.step(times, [each.replicas for each in outcome.samples], where="post", label="asked for")
    workers.plot(times, [each.warm for each in outcome.samples], label="warm", linewidth=0.8)
    workers.plot(times, [each.busy for each in outcome.samples], label="at work", linewidth=0.5)
    workers.set_ylabel("workers")
    waits.plot(trace.arrivals / scale, outcome.waits, ",")
    waits.set_ylabel("wait of each job, s")
    waits.set_xlabel(unit)
    load.legend(loc="upper right")
    workers.legend(loc="upper right")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise PlanError(f"{path} can't be written: {error.strerror}") from error

"""A report as lines for people."""

from collections.abc import Iterator

from planner.report import Report, Waits, Window
from planner.scaled_object import ScaledObject
from planner.search import Suggestion

SHOWN_CHANGES = 20  # of the replicas; all of them are in the JSON


def lines(scaled: ScaledObject, result: Report, *, load: str) -> Iterator[str]:
    """Yield a report, the summary first, then the lane over time."""
    yield (
        f"lane       {scaled.name}, {scaled.min_replicas} to {scaled.max_replicas} workers, "
        f"{scaled.messages_per_replica:g} messages for each"
    )
    yield f"load       {load}; its busiest minute keeps {result.busiest_minute_workers:.1f} workers busy"
    yield (
        f"jobs       {result.finished:,} spoken, {result.failed:,} failed ({result.refused:,} refused, "
        f"{result.unfinished:,} not ended), {result.handed_back:,} handed back"
    )
    yield f"wait       {_waits(result.waits)}"
    if result.after:
        yield f"  since {_time(result.after)}: {_waits(result.waits_after)}"
    yield f"GPU hours  {result.gpu_hours:.2f}{_fixed(result)}"
    yield f"workers    {_changes(result.changes)}"
    yield ""
    yield f"{'from':>8} {'jobs':>8} {'p50 s':>8} {'p99 s':>8} {'workers':>8} {'warm':>5} {'waiting':>8}"
    yield from map(_window, result.windows)


def suggestion(found: Suggestion, *, target: float) -> Iterator[str]:
    """Yield what was found for a target p99, in seconds."""
    scaled = found.scaled
    what = f"for a p99 of {target:g} s" if found.met else f"nothing found for a p99 of {target:g} s, nearest to it"
    yield (
        f"{what}, after {found.tried} simulations: {scaled.messages_per_replica:g} messages for each worker, "
        f"minReplicaCount {scaled.min_replicas}, maxReplicaCount {scaled.max_replicas}"
    )
    if scaled.modifiers:
        yield f"  formula: {scaled.modifiers.formula.text}"
    waits = found.report.waits_after
    yield f"  p99 {_seconds(waits.p99)}, {found.report.gpu_hours:.2f} GPU hours"


def _fixed(result: Report) -> str:
    if result.fixed is None:
        return ""
    saved = result.saved
    compared = f"{saved:.1%} fewer" if saved >= 0 else f"{-saved:.1%} more"
    whose = "the same jobs'" if result.after else "the same"
    return (
        f": {compared} than the {result.fixed.gpu_hours:.2f} of {result.fixed.workers} workers that are always there, "
        f"the fewest with {whose} p99 ({_seconds(result.fixed.p99)})"
    )


def _waits(waits: Waits) -> str:
    return (
        f"p50 {_seconds(waits.p50)}, p95 {_seconds(waits.p95)}, p99 {_seconds(waits.p99)}, "
        f"longest {_seconds(waits.longest)}"
    )


def _changes(changes: list[tuple[float, int]]) -> str:
    shown = ", ".join(f"{replicas} at {_time(at)}" for at, replicas in changes[:SHOWN_CHANGES])
    left = len(changes) - SHOWN_CHANGES
    return shown + (f", and {left:,} changes more" if left > 0 else "")


def _window(window: Window) -> str:
    return (
        f"{_time(window.begins):>8} {window.jobs:>8,} {window.p50:>8.3f} {window.p99:>8.3f} {window.replicas:>8} "
        f"{window.warm:>5} {window.waiting:>8,}"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 7200 else f"{seconds:.0f} s"

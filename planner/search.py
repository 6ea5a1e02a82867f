"""Values for a ScaledObject with which a target is met."""

from collections.abc import Iterator
from dataclasses import dataclass

from planner.report import Report, report
from planner.scaled_object import ScaledObject
from planner.simulation import World, simulate
from planner.trace import Trace

# Messages for each worker that are tried, as shares of what the manifest has, from the cheapest on.
SHARES = (8, 6, 4, 3, 2, 1.5, 1, 0.75, 0.5, 0.375, 0.25, 0.125)
MORE = (0, 1, 2, 4)  # workers more at the least
ROOM = 4  # the first maximum, as a multiple of what the busiest minute needs


@dataclass(frozen=True)
class Suggestion:
    """The cheapest values that were found, and what they come to."""

    scaled: ScaledObject
    report: Report
    met: bool
    tried: int


class _Search:
    def __init__(self, trace: Trace, world: World, target_p99: float, after: float) -> None:
        self._trace, self._world, self._target, self._after = trace, world, target_p99, after
        self.tried = 0

    def run(self, scaled: ScaledObject) -> Report:
        self.tried += 1
        return report(self._trace, simulate(scaled, self._trace, self._world), after=self._after, compare=False)

    def meets(self, result: Report) -> bool:
        return not result.failed and result.waits_after.p99 <= self._target


def suggest(scaled: ScaledObject, trace: Trace, world: World, *, target_p99: float, after: float = 0) -> Suggestion:
    """Look for the values of the least GPU hours with which 99 % of the jobs since `after` wait at most so long.

    V, the messages for each worker, falls until the least number of workers need not be raised; then the largest number
    is lowered as far as the target lets it. Neither has to be the best there is, but both were simulated.

    Args:
        target_p99: in seconds.
        after: a second of the trace.
    """
    search = _Search(trace, world, target_p99, after)
    most = max(scaled.max_replicas, round(ROOM * trace.busiest_minute))
    found = list[tuple[ScaledObject, Report]]()
    for candidates in _candidates(scaled, most):
        for candidate in candidates:
            found.append((candidate, search.run(candidate)))
            if search.meets(found[-1][1]):
                break
        if search.meets(found[-1][1]) and found[-1][0].min_replicas == scaled.min_replicas:
            break  # with fewer messages for each worker it would only be dearer
    good = [each for each in found if search.meets(each[1])]
    if not good:
        best, result = min(found, key=lambda each: each[1].waits_after.p99)
        return Suggestion(best, result, met=False, tried=search.tried)
    best, result = min(good, key=lambda each: each[1].gpu_hours)
    best, result = _lowered(search, best, result)
    return Suggestion(best, result, met=True, tried=search.tried)


def _candidates(scaled: ScaledObject, most: int) -> Iterator[list[ScaledObject]]:
    """Yield for each V the ScaledObjects with more and more workers at the least."""
    for share in SHARES:
        value = float(f"{scaled.messages_per_replica * share:.2g}")
        yield [
            scaled.resized(
                messages_per_replica=value, min_replicas=min(scaled.min_replicas + more, most), max_replicas=most
            )
            for more in MORE
        ]


def _lowered(search: _Search, scaled: ScaledObject, result: Report) -> tuple[ScaledObject, Report]:
    """Return the same with the fewest workers at the most with which the target is met."""
    value, least = scaled.messages_per_replica, scaled.min_replicas
    low, high = max(least, 1), min(result.most_replicas, scaled.max_replicas)
    best = scaled, result
    while low <= high:
        middle = (low + high) // 2
        candidate = scaled.resized(messages_per_replica=value, min_replicas=least, max_replicas=middle)
        tried = search.run(candidate)
        if search.meets(tried):
            best, high = (candidate, tried), middle - 1
        else:
            low = middle + 1
    return best

"""The rules of Kubernetes' HorizontalPodAutoscaler, autoscaling/v2. No clock: every call is told the time.

Source: pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendationWithBehaviors,
convertDesiredReplicasWithBehaviorRate) and replica_calculator.go (GetExternalPerPodMetricReplicas) of Kubernetes;
timelines recorded on Kubernetes 1.35 are in tests/planner/test_recordings.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SYNC_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
DOWN_WINDOW_SECONDS = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization
MAX_WINDOW_SECONDS = 3600  # the API refuses more
MAX_PERIOD_SECONDS = 1800


class PolicyType(StrEnum):
    """What a policy's value counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class Select(StrEnum):
    """Which of several policies holds."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class MetricType(StrEnum):
    """What a target is compared with: the value as it is, or divided by the replicas."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


@dataclass(frozen=True)
class Policy:
    """How much may change within a period."""

    type: PolicyType
    value: int
    period_seconds: float


@dataclass(frozen=True)
class Rules:
    """One direction of `behavior`."""

    window_seconds: float
    policies: tuple[Policy, ...]
    select: Select = Select.MAX
    tolerance: float = TOLERANCE


DOUBLE = Policy(PolicyType.PERCENT, 100, 15)
UP = Rules(0, (Policy(PolicyType.PODS, 4, 15), DOUBLE))
DOWN = Rules(DOWN_WINDOW_SECONDS, (DOUBLE,))


@dataclass(frozen=True)
class Limits:
    """What an HPA may do: its spec, but for the metrics."""

    min_replicas: int
    max_replicas: int
    up: Rules = UP
    down: Rules = DOWN


@dataclass(frozen=True)
class Metric:
    """A metric as KEDA's metrics server hands it out."""

    value: float
    target: float
    type: MetricType = MetricType.AVERAGE_VALUE


@dataclass(frozen=True)
class _Dated:
    """A recommendation, or a change of the replicas, and when it was."""

    at: float
    replicas: int


class Autoscaler:
    """One HPA: what it recommended and changed lately decides what it may change now."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._recommended = list[_Dated]()
        self._added = list[_Dated]()
        self._removed = list[_Dated]()

    def sync(self, now: float, *, current: int, metrics: Sequence[Metric | None], ready: int) -> int:
        """Return the replicas after a sync.

        Args:
            current: replicas now; 0 switches the HPA off.
            metrics: None for one that could not be read.
            ready: how many of the replicas are ready, which only metrics of the type Value ask for.
        """
        if current == 0:
            return 0
        desired = self._desired(now, current, metrics, ready)
        if desired > current:
            self._added.append(_Dated(now, desired - current))
        elif desired < current:
            self._removed.append(_Dated(now, current - desired))
        return desired

    def _desired(self, now: float, current: int, metrics: Sequence[Metric | None], ready: int) -> int:
        limits = self.limits
        if not limits.min_replicas <= current <= limits.max_replicas:
            return min(max(current, limits.min_replicas), limits.max_replicas)
        proposed = self._proposed(current, metrics, ready)
        if proposed is None:
            return current
        return self._rated(now, current, self._stabilized(now, current, proposed))

    def _proposed(self, current: int, metrics: Sequence[Metric | None], ready: int) -> int | None:
        """Return the largest wish of all metrics; None if one is missing and the others ask for less than there is."""
        wishes = [self._wish(metric, current, ready) for metric in metrics if metric is not None]
        if not wishes or (len(wishes) < len(metrics) and max(wishes) < current):
            return None
        return max(wishes)

    def _wish(self, metric: Metric, current: int, ready: int) -> int:
        pods = current if metric.type is MetricType.AVERAGE_VALUE else 1
        ratio = metric.value / (metric.target * pods)
        if 1 - self.limits.down.tolerance <= ratio <= 1 + self.limits.up.tolerance:
            return current
        if metric.type is MetricType.AVERAGE_VALUE:
            return math.ceil(metric.value / metric.target)
        return math.ceil(ratio * ready)

    def _stabilized(self, now: float, current: int, proposed: int) -> int:
        """Return the wish that has held for a window: the least of late for going up, the largest for going down."""
        up, down = self.limits.up.window_seconds, self.limits.down.window_seconds
        self._recommended = [each for each in self._recommended if each.at > now - max(up, down)]
        lowest = min([proposed, *(each.replicas for each in self._recommended if each.at > now - up)])
        highest = max([proposed, *(each.replicas for each in self._recommended if each.at > now - down)])
        self._recommended.append(_Dated(now, proposed))
        return min(max(current, lowest), highest)

    def _rated(self, now: float, current: int, desired: int) -> int:
        """Return the wish as far as the policies and the limits let it."""
        if desired > current:
            most = max(self._limit(now, current, self.limits.up, up=True), current)
            return min(desired, most, self.limits.max_replicas)
        if desired < current:
            least = min(self._limit(now, current, self.limits.down, up=False), current)
            return max(desired, least, self.limits.min_replicas)
        return desired

    def _limit(self, now: float, current: int, rules: Rules, *, up: bool) -> int:
        if rules.select is Select.DISABLED:
            return current
        longest = max(each.period_seconds for each in (*self.limits.up.policies, *self.limits.down.policies))
        self._added = [each for each in self._added if each.at > now - longest]
        self._removed = [each for each in self._removed if each.at > now - longest]
        allowed = [self._allowed(now, current, policy, up=up) for policy in rules.policies]
        return max(allowed) if (rules.select is Select.MAX) == up else min(allowed)

    def _allowed(self, now: float, current: int, policy: Policy, *, up: bool) -> int:
        since = now - policy.period_seconds
        added = sum(each.replicas for each in self._added if each.at > since)
        removed = sum(each.replicas for each in self._removed if each.at > since)
        before = current - added + removed
        change = policy.value if up else -policy.value
        if policy.type is PolicyType.PODS:
            return before + change
        share = before * (100 + change) / 100
        return math.ceil(share) if up else math.floor(max(share, 0))

"""A KEDA ScaledObject, as far as it decides how many replicas there are."""

from dataclasses import dataclass, replace
from enum import StrEnum

from planner.cron import Window
from planner.errors import PlanError
from planner.formula import Formula, parse, tokens
from planner.hpa import Limits, MetricType

# What KEDA takes where a ScaledObject says nothing. Source: its scaledobject-spec, 2.20
POLLING_SECONDS = 30.0
COOLDOWN_SECONDS = 300.0
MAX_REPLICAS = 100


@dataclass(frozen=True)
class Queue:
    """A rabbitmq trigger in mode QueueLength."""

    name: str
    queue: str
    value: float  # messages for each replica
    activation: float = 0
    over_http: bool = True  # amqp knows messages only that nobody has taken yet
    counts_taken: bool = True  # unacknowledged messages too, which only http can

    metric_type: MetricType = MetricType.AVERAGE_VALUE


@dataclass(frozen=True)
class Age:
    """A prometheus trigger on the age of what waits longest, in seconds."""

    name: str
    value: float
    activation: float = 0

    metric_type: MetricType = MetricType.AVERAGE_VALUE


@dataclass(frozen=True)
class Busy:
    """A prometheus trigger on how many workers are at work."""

    name: str
    value: float
    activation: float = 0

    metric_type: MetricType = MetricType.AVERAGE_VALUE


@dataclass(frozen=True)
class Floor:
    """A cron trigger. Outside of its window it asks for one replica, and is not active."""

    name: str
    window: Window
    replicas: int

    metric_type: MetricType = MetricType.AVERAGE_VALUE


Trigger = Queue | Age | Busy | Floor


class FallbackBehavior(StrEnum):
    """How many replicas there are while a trigger can't be read."""

    STATIC = "static"
    CURRENT = "currentReplicas"
    CURRENT_IF_HIGHER = "currentReplicasIfHigher"
    CURRENT_IF_LOWER = "currentReplicasIfLower"


@dataclass(frozen=True)
class Fallback:
    """What holds after so many failures in a row."""

    threshold: int
    replicas: int
    behavior: FallbackBehavior = FallbackBehavior.STATIC

    def wanted(self, current: int) -> int:
        match self.behavior:
            case FallbackBehavior.STATIC:
                return self.replicas
            case FallbackBehavior.CURRENT:
                return current
            case FallbackBehavior.CURRENT_IF_HIGHER:
                return max(current, self.replicas)
            case FallbackBehavior.CURRENT_IF_LOWER:
                return min(current, self.replicas)


@dataclass(frozen=True)
class Modifiers:
    """One metric made of all triggers, which replaces each of theirs."""

    formula: Formula
    target: float
    activation: float = 0
    metric_type: MetricType = MetricType.AVERAGE_VALUE


@dataclass(frozen=True)
class ScaledObject:
    """What KEDA and the HPA that it makes go by."""

    name: str
    min_replicas: int
    limits: Limits  # of the HPA, which has at least one replica
    triggers: tuple[Trigger, ...]
    modifiers: Modifiers | None = None
    fallback: Fallback | None = None
    polling_seconds: float = POLLING_SECONDS
    cooldown_seconds: float = COOLDOWN_SECONDS
    initial_cooldown_seconds: float = 0

    @property
    def max_replicas(self) -> int:
        return self.limits.max_replicas

    @property
    def queues(self) -> frozenset[str]:
        return frozenset(each.queue for each in self.triggers if isinstance(each, Queue))

    @property
    def messages_per_replica(self) -> float:
        """V: how many messages, waiting or taken, there are for each replica. The larger, the fewer replicas."""
        number = self._divisor()
        if number:
            return float(number[0])
        return next(each.value for each in self.triggers if isinstance(each, Queue))

    def resized(self, *, messages_per_replica: float, min_replicas: int, max_replicas: int) -> "ScaledObject":
        """Return the same with another V, at least and at most so many replicas."""
        limits = replace(self.limits, min_replicas=max(min_replicas, 1), max_replicas=max_replicas)
        resized = replace(self, min_replicas=min_replicas, limits=limits)
        if self.modifiers is None:
            triggers = tuple(
                replace(each, value=messages_per_replica) if isinstance(each, Queue) else each for each in self.triggers
            )
            return replace(resized, triggers=triggers)
        number = self._divisor()
        if number is None:
            raise PlanError(
                f"the formula {self.modifiers.formula.text!r} of {self.name} divides no queue trigger by a number, so "
                "there is no number of messages for each worker to change; write it as: total / 4"
            )
        text, at = self.modifiers.formula.text, number[1]
        changed = parse(f"{text[:at]}{messages_per_replica:g}{text[at + len(number[0]) :]}")
        return replace(resized, modifiers=replace(self.modifiers, formula=changed))

    def _divisor(self) -> tuple[str, int] | None:
        """Return the number that the formula divides a queue by, and where it stands."""
        if self.modifiers is None:
            return None
        queues = {each.name for each in self.triggers if isinstance(each, Queue)}
        found = tokens(self.modifiers.formula.text)
        for name, operator, number in zip(found, found[1:], found[2:], strict=False):
            if name.text in queues and operator.text == "/" and number.text[0].isdigit():
                return number.text, number.at
        return None


def check(scaled: ScaledObject) -> ScaledObject:
    """Return what was given if KEDA's admission webhook would take it.

    Raises:
        PlanError: it would not, or the replicas would never be what they say.
    """
    if not 0 <= scaled.min_replicas <= scaled.max_replicas:
        raise PlanError(
            f"{scaled.name} has minReplicaCount {scaled.min_replicas} and maxReplicaCount {scaled.max_replicas}; "
            "the first may be 0 up to the second"
        )
    names = {each.name for each in scaled.triggers if each.name}
    if scaled.modifiers and len(names) < len(scaled.triggers):
        raise PlanError(f"{scaled.name} has a formula, so each of its triggers must have a name of its own")
    if scaled.modifiers and (unknown := scaled.modifiers.formula.names - names):
        known = ", ".join(sorted(names))
        raise PlanError(f"the formula of {scaled.name} names {', '.join(sorted(unknown))}; its triggers are {known}")
    return scaled

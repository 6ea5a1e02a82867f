"""The rules of KEDA: what it hands to the HPA, and what it does by itself at 0.

Source: KEDA 2.20, pkg/scaling/scale_handler.go (GetScaledObjectMetrics, getScaledObjectState),
pkg/scaling/modifiers/formula.go, pkg/fallback/fallback.go, pkg/scaling/executor/scale_scaledobjects.go.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from planner.hpa import Metric
from planner.scaled_object import Age, Busy, Floor, Queue, ScaledObject, Trigger


@dataclass(frozen=True)
class Reading:
    """What there is to be read at a moment. RabbitMQ's management API tells what was some seconds ago."""

    ready: int  # messages that nobody has taken, as the management API tells
    taken: int  # not acknowledged yet, as the management API tells
    ready_now: int  # as AMQP tells
    oldest_seconds: float  # as Prometheus scraped it last
    clock: datetime
    broker_answers: bool = True
    prometheus_answers: bool = True
    busy: int = 0  # workers at work, as Prometheus scraped them last


class Keda:
    """One ScaledObject at work."""

    def __init__(self, scaled: ScaledObject, *, created_at: float = 0) -> None:
        self.scaled = scaled
        self._created_at = created_at
        self._active_at: float | None = None
        self._failures = dict.fromkeys(range(len(scaled.triggers)), 0)
        self._floors = dict[int, tuple[float, bool]]()  # until when each cron trigger stays as it is, and how it is

    def metrics(self, now: float, reading: Reading, *, current: int) -> list[Metric | None]:
        """Return what the HPA is told at a sync: one metric for each trigger, or with a formula one for all."""
        values = self._values(now, reading)
        for index, value in values.items():
            self._failures[index] = self._failures[index] + 1 if value is None else 0
        if self.scaled.modifiers:
            return [self._composite(values, current)]
        return [
            self._fallback(index, _target(trigger), current)
            if value is None
            else Metric(_milli(value), _target(trigger), trigger.metric_type)
            for index, (trigger, value) in enumerate(zip(self.scaled.triggers, values.values(), strict=True))
        ]

    def poll(self, now: float, reading: Reading, *, current: int) -> int:
        """Return the replicas after a look of KEDA's own, which comes every pollingInterval."""
        values = self._values(now, reading)
        failed = None in values.values()
        if self._active(values, failed=failed):
            self._active_at = now
            return current or max(self.scaled.min_replicas, 1)
        if failed and self.scaled.fallback and self.scaled.fallback.replicas:
            return self.scaled.fallback.wanted(current)
        if failed:
            return current
        if current and not self.scaled.min_replicas:
            return 0 if self._cooled_down(now) else current
        return max(current, self.scaled.min_replicas)

    def _cooled_down(self, now: float) -> bool:
        """A ScaledObject that was never active does not wait, but for initialCooldownPeriod."""
        if self._active_at is None:
            return now >= self._created_at + self.scaled.initial_cooldown_seconds
        return now > self._active_at + self.scaled.cooldown_seconds

    def _active(self, values: Mapping[int, float | None], *, failed: bool) -> bool:
        modifiers = self.scaled.modifiers
        if modifiers:
            if failed:
                return False
            value = self._formula(values)
            return value is not None and value > modifiers.activation
        return any(
            self._floors[index][1] if isinstance(trigger, Floor) else (values[index] or 0) > trigger.activation
            for index, trigger in enumerate(self.scaled.triggers)
        )

    def _composite(self, values: Mapping[int, float | None], current: int) -> Metric | None:
        """Return the formula's metric. One trigger that fails is enough to take it away, whether it is named or not."""
        modifiers = self.scaled.modifiers
        assert modifiers
        failing = [index for index, value in values.items() if value is None]
        if failing:
            worst = max(failing, key=self._failures.__getitem__)
            return self._fallback(worst, modifiers.target, current)
        value = self._formula(values)
        return None if value is None else Metric(_milli(value), modifiers.target, modifiers.metric_type)

    def _formula(self, values: Mapping[int, float | None]) -> float | None:
        assert self.scaled.modifiers
        named = {trigger.name: values[index] or 0 for index, trigger in enumerate(self.scaled.triggers)}
        value = self.scaled.modifiers.formula(named)
        return value if math.isfinite(value) else None

    def _fallback(self, index: int, target: float, current: int) -> Metric | None:
        """Return the metric by which the HPA comes to the replicas of the fallback, once it holds."""
        fallback = self.scaled.fallback
        if fallback is None or self._failures[index] <= fallback.threshold:
            return None
        return Metric(target * fallback.wanted(current), target)

    def _values(self, now: float, reading: Reading) -> dict[int, float | None]:
        """Return each trigger's value, None where it can't be read."""
        return {index: self._value(now, index, trigger, reading) for index, trigger in enumerate(self.scaled.triggers)}

    def _value(self, now: float, index: int, trigger: Trigger, reading: Reading) -> float | None:
        match trigger:
            case Queue():
                return _messages(trigger, reading)
            case Age():
                return reading.oldest_seconds if reading.prometheus_answers else None
            case Busy():
                return reading.busy if reading.prometheus_answers else None
            case Floor():
                return self._floor(now, index, trigger, reading.clock)

    def _floor(self, now: float, index: int, trigger: Floor, clock: datetime) -> float:
        """Return what a cron trigger asks for. When it changes is remembered, for finding it takes long."""
        until, on = self._floors.get(index, (-math.inf, False))
        if now >= until:
            on, seconds = trigger.window.state(clock)
            self._floors[index] = now + seconds, on
        return trigger.replicas if on else 1


def _messages(trigger: Queue, reading: Reading) -> float | None:
    if not reading.broker_answers:
        return None
    if not trigger.over_http:
        return reading.ready_now
    return reading.ready + (reading.taken if trigger.counts_taken else 0)


def _target(trigger: Trigger) -> float:
    return 1 if isinstance(trigger, Floor) else trigger.value


def _milli(value: float) -> float:
    """Return the value as Kubernetes carries it: in thousandths, the rest cut off."""
    return math.trunc(value * 1000) / 1000

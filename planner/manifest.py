"""Read ScaledObjects from YAML: the files that are applied, or what `kubectl kustomize` prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from planner import cron, formula, hpa
from planner.errors import PlanError
from planner.scaled_object import (
    COOLDOWN_SECONDS,
    MAX_REPLICAS,
    POLLING_SECONDS,
    Age,
    Busy,
    Fallback,
    FallbackBehavior,
    Floor,
    Modifiers,
    Queue,
    ScaledObject,
    Trigger,
    check,
)

Json = Mapping[str, Any]
T = TypeVar("T")

MODES = ("QueueLength",)
TYPES = ("rabbitmq", "prometheus", "cron")
YES = ("true", "1")
BUSY_METRIC = "emotivoice_busy_children"  # a query for it counts workers at work; any other is taken for an age


def load(path: Path) -> list[ScaledObject]:
    """Return the ScaledObjects of a file.

    Raises:
        PlanError: the file can't be read, has none, or one that the planner does not understand.
    """
    try:
        documents: list[Any] = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PlanError(f"{path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is no YAML: {str(error).splitlines()[0]}") from error
    mappings = [cast(Json, each) for each in documents if isinstance(each, dict)]
    found = [each for each in mappings if each.get("kind") == "ScaledObject"]
    if not found:
        raise PlanError(f"{path} has no ScaledObject; the planner reads KEDA's manifests, such as those in k8s/keda")
    return [read(each) for each in found]


def read(document: Json) -> ScaledObject:
    """Return what a manifest says.

    Raises:
        PlanError: it lacks something, or has what the planner does not know.
    """
    name = str(_map(document, "metadata").get("name", "a ScaledObject without a name"))
    spec = _map(document, "spec")
    advanced = _map(spec, "advanced")
    minimum = _int(spec, "minReplicaCount", 0, name)
    behavior = _map(_map(advanced, "horizontalPodAutoscalerConfig"), "behavior")
    limits = hpa.Limits(
        max(minimum, 1),
        _int(spec, "maxReplicaCount", MAX_REPLICAS, name),
        _rules(_map(behavior, "scaleUp"), hpa.UP, f"scaleUp of {name}"),
        _rules(_map(behavior, "scaleDown"), hpa.DOWN, f"scaleDown of {name}"),
    )
    if "idleReplicaCount" in spec:
        raise PlanError(f"{name} has idleReplicaCount, which the planner does not simulate; use minReplicaCount: 0")
    scaled = ScaledObject(
        name,
        minimum,
        limits,
        tuple(_trigger(each, name) for each in _list(spec, "triggers", name)),
        _modifiers(_map(advanced, "scalingModifiers"), name),
        _fallback(_map(spec, "fallback"), name),
        _number(spec, "pollingInterval", POLLING_SECONDS, name),
        _number(spec, "cooldownPeriod", COOLDOWN_SECONDS, name),
        _number(spec, "initialCooldownPeriod", 0, name),
    )
    if not scaled.queues:
        raise PlanError(f"{name} has no rabbitmq trigger, so nothing tells it that a queue grows")
    return check(scaled)


def _trigger(trigger: Json, owner: str) -> Trigger:
    kind, data, name = trigger.get("type"), _map(trigger, "metadata"), str(trigger.get("name", ""))
    where = f"trigger {name or kind} of {owner}"
    metric = _one_of(hpa.MetricType, trigger.get("metricType", hpa.MetricType.AVERAGE_VALUE), f"metricType of {where}")
    if kind == "rabbitmq":
        return _queue(name, data, metric, where)
    if kind == "prometheus":
        activation = _number(data, "activationThreshold", 0, where)
        asked = Busy if BUSY_METRIC in str(data.get("query", "")) else Age
        return asked(name, _number(data, "threshold", None, where), activation, metric)
    if kind == "cron":
        times = {each: str(_required(data, each, where)) for each in ("start", "end", "timezone")}
        return Floor(name, cron.window(**times), _int(data, "desiredReplicas", None, where), metric)
    raise PlanError(f"{where} is of the type {kind!r}; the planner knows {', '.join(TYPES)}")


def _queue(name: str, data: Json, metric: hpa.MetricType, where: str) -> Queue:
    mode = data.get("mode")
    if mode not in MODES:
        raise PlanError(f"{where} has the mode {mode!r}; the planner knows {', '.join(MODES)}")
    protocol = data.get("protocol", "auto")
    if protocol not in ("http", "amqp"):
        raise PlanError(f"{where} has the protocol {protocol!r}; say http or amqp, for they count different messages")
    http = protocol == "http"
    ready_only = str(data.get("excludeUnacknowledged", "false")).lower() in YES
    return Queue(
        name,
        str(_required(data, "queueName", where)),
        _number(data, "value", None, where),
        _number(data, "activationValue", 0, where),
        over_http=http,
        counts_taken=http and not ready_only,
        metric_type=metric,
    )


def _modifiers(data: Json, owner: str) -> Modifiers | None:
    if not data:
        return None
    where = f"scalingModifiers of {owner}"
    return Modifiers(
        formula.parse(str(_required(data, "formula", where))),
        _number(data, "target", None, where),
        _number(data, "activationTarget", 0, where),
        _one_of(hpa.MetricType, data.get("metricType", hpa.MetricType.AVERAGE_VALUE), f"metricType in {where}"),
    )


def _fallback(data: Json, owner: str) -> Fallback | None:
    if not data:
        return None
    where = f"fallback of {owner}"
    behavior = _one_of(FallbackBehavior, data.get("behavior", FallbackBehavior.STATIC), f"behavior in {where}")
    return Fallback(_int(data, "failureThreshold", None, where), _int(data, "replicas", None, where), behavior)


def _rules(data: Json, default: hpa.Rules, where: str) -> hpa.Rules:
    policies = tuple(_policy(each, where) for each in data.get("policies") or ())
    window = _number(data, "stabilizationWindowSeconds", default.window_seconds, where)
    if not 0 <= window <= hpa.MAX_WINDOW_SECONDS:
        raise PlanError(f"{where} has stabilizationWindowSeconds {window:g}; it takes 0 to {hpa.MAX_WINDOW_SECONDS}")
    return hpa.Rules(
        window,
        policies or default.policies,
        _one_of(hpa.Select, data.get("selectPolicy", hpa.Select.MAX), f"selectPolicy in {where}"),
        _number(data, "tolerance", hpa.TOLERANCE, where),
    )


def _policy(data: Json, where: str) -> hpa.Policy:
    period = _number(data, "periodSeconds", None, where)
    if not 0 < period <= hpa.MAX_PERIOD_SECONDS:
        raise PlanError(f"{where} has periodSeconds {period:g}; it takes 1 to {hpa.MAX_PERIOD_SECONDS}")
    kind = _one_of(hpa.PolicyType, _required(data, "type", where), f"type of a policy in {where}")
    return hpa.Policy(kind, _int(data, "value", None, where), period)


def _map(data: Json, name: str) -> Json:
    value: Any = data.get(name) or {}
    if not isinstance(value, dict):
        raise PlanError(f"{name} is {value!r}; it should be a mapping")
    return cast(Json, value)


def _list(data: Json, name: str, where: str) -> list[Json]:
    value: Any = data.get(name)
    if not isinstance(value, list) or not value:
        raise PlanError(f"{where} has no {name}")
    return cast(list[Json], value)


def _required(data: Json, name: str, where: str) -> object:
    if name not in data:
        raise PlanError(f"{where} has no {name}")
    return data[name]


def _number(data: Json, name: str, default: float | None, where: str) -> float:
    value = data.get(name, default)
    if value is None:
        raise PlanError(f"{where} has no {name}")
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{where} has {name} {value!r}; it should be a number") from error


def _int(data: Json, name: str, default: int | None, where: str) -> int:
    value = _number(data, name, default, where)
    if value != int(value):
        raise PlanError(f"{where} has {name} {value:g}; it should be a whole number")
    return int(value)


def _one_of(kind: type[T], value: object, where: str) -> T:
    try:
        return cast(Any, kind)(value)
    except ValueError as error:
        allowed = ", ".join(str(each) for each in cast(Any, kind))
        raise PlanError(f"{where} is {value!r}; the planner knows {allowed}") from error

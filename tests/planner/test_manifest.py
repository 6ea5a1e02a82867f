"""ScaledObjects as the planner reads them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from planner import hpa, manifest
from planner.errors import PlanError
from planner.scaled_object import Age, Busy, Fallback, FallbackBehavior, Floor, Queue

PLAIN: dict[str, Any] = {
    "kind": "ScaledObject",
    "metadata": {"name": "plain"},
    "spec": {
        "scaleTargetRef": {"name": "plain"},
        "triggers": [
            {
                "type": "rabbitmq",
                "metadata": {"protocol": "http", "mode": "QueueLength", "queueName": "tts.x", "value": "4"},
            }
        ],
    },
}


def changed(**spec: Any) -> dict[str, Any]:
    return {**PLAIN, "spec": {**PLAIN["spec"], **spec}}


def with_trigger(**trigger: Any) -> dict[str, Any]:
    return changed(triggers=[*PLAIN["spec"]["triggers"], trigger])


def test_what_is_not_said_is_as_in_keda_and_kubernetes() -> None:
    scaled = manifest.read(PLAIN)

    assert (scaled.min_replicas, scaled.limits) == (0, hpa.Limits(1, 100, hpa.UP, hpa.DOWN))
    assert (scaled.polling_seconds, scaled.cooldown_seconds, scaled.initial_cooldown_seconds) == (30, 300, 0)
    assert scaled.triggers == (Queue("", "tts.x", 4),)
    assert (scaled.modifiers, scaled.fallback) == (None, None)


def test_every_value_that_decides_is_read() -> None:
    document = yaml.safe_load(
        """
        kind: ScaledObject
        metadata: {name: full}
        spec:
          minReplicaCount: 2
          maxReplicaCount: 9
          pollingInterval: 7
          cooldownPeriod: 70
          initialCooldownPeriod: 5
          fallback: {failureThreshold: 3, replicas: 4, behavior: currentReplicasIfHigher}
          advanced:
            scalingModifiers: {formula: "max(total / 8, floor)", target: "2", activationTarget: "3"}
            horizontalPodAutoscalerConfig:
              behavior:
                scaleUp:
                  stabilizationWindowSeconds: 10
                  selectPolicy: Min
                  tolerance: "0.05"
                  policies: [{type: Percent, value: 50, periodSeconds: 30}]
                scaleDown: {selectPolicy: Disabled}
          triggers:
            - {type: rabbitmq, name: total, metadata: {protocol: amqp, mode: QueueLength, queueName: q, value: "1.5"}}
            - {type: prometheus, name: late, metadata: {serverAddress: x, query: y, threshold: "6"}, metricType: Value}
            - type: cron
              name: floor
              metadata: {timezone: Etc/UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: "3"}
        """
    )

    scaled = manifest.read(document)

    assert scaled.limits == hpa.Limits(
        2,
        9,
        hpa.Rules(10, (hpa.Policy(hpa.PolicyType.PERCENT, 50, 30),), hpa.Select.MIN, 0.05),
        hpa.Rules(300, hpa.DOWN.policies, hpa.Select.DISABLED),
    )
    assert (scaled.polling_seconds, scaled.cooldown_seconds, scaled.initial_cooldown_seconds) == (7, 70, 5)
    assert scaled.fallback == Fallback(3, 4, FallbackBehavior.CURRENT_IF_HIGHER)
    assert scaled.modifiers
    assert (scaled.modifiers.formula.text, scaled.modifiers.target) == ("max(total / 8, floor)", 2)
    assert scaled.modifiers.activation == 3
    queue, age, floor = scaled.triggers
    assert queue == Queue("total", "q", 1.5, over_http=False, counts_taken=False)
    assert age == Age("late", 6, 0, hpa.MetricType.VALUE)
    assert isinstance(floor, Floor)
    assert floor.replicas == 3


def test_only_ready_messages_count_where_the_others_are_excluded() -> None:
    metadata = {**PLAIN["spec"]["triggers"][0]["metadata"], "excludeUnacknowledged": "true"}

    scaled = manifest.read(changed(triggers=[{"type": "rabbitmq", "metadata": metadata}]))

    assert scaled.triggers == (Queue("", "tts.x", 4, counts_taken=False),)


def test_a_query_for_busy_children_counts_workers_and_any_other_is_an_age() -> None:
    query = {"query": 'sum(emotivoice_busy_children{worker_lane="bulk"})', "threshold": "1"}

    assert manifest.read(with_trigger(type="prometheus", name="busy", metadata=query)).triggers[1] == Busy("busy", 1)
    query["query"] = "max(emotivoice_lane_oldest_waiting_seconds)"
    assert manifest.read(with_trigger(type="prometheus", name="late", metadata=query)).triggers[1] == Age("late", 1)


def test_a_lane_can_be_resized_by_its_formula_or_by_its_trigger() -> None:
    plain = manifest.read(PLAIN).resized(messages_per_replica=2.5, min_replicas=1, max_replicas=7)
    assert (plain.messages_per_replica, plain.min_replicas, plain.max_replicas) == (2.5, 1, 7)

    named = [{**PLAIN["spec"]["triggers"][0], "name": "total"}]
    modifiers = {"formula": "max(total / 40, total > 1 ? 1 : 0)", "target": "1"}
    formula = manifest.read(changed(triggers=named, advanced={"scalingModifiers": modifiers}))
    assert formula.messages_per_replica == 40
    resized = formula.resized(messages_per_replica=2.5, min_replicas=0, max_replicas=7)
    assert resized.modifiers
    assert resized.modifiers.formula.text == "max(total / 2.5, total > 1 ? 1 : 0)"
    assert (resized.messages_per_replica, resized.limits.min_replicas) == (2.5, 1)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (changed(triggers=[]), "plain has no triggers"),
        (with_trigger(type="cpu", metadata={}), "is of the type 'cpu'; the planner knows rabbitmq, prometheus, cron"),
        (with_trigger(type="rabbitmq", metadata={"mode": "MessageRate"}), "has the mode 'MessageRate'"),
        (
            with_trigger(type="rabbitmq", metadata={"mode": "QueueLength"}),
            "has the protocol 'auto'; say http or amqp, for they count different messages",
        ),
        (with_trigger(type="prometheus", metadata={}), "trigger prometheus of plain has no threshold"),
        (
            with_trigger(type="prometheus", metadata={"threshold": "much"}),
            "has threshold 'much'; it should be a number",
        ),
        (changed(minReplicaCount=5, maxReplicaCount=2), "minReplicaCount 5 and maxReplicaCount 2"),
        (changed(minReplicaCount=1.5), "has minReplicaCount 1.5; it should be a whole number"),
        (changed(idleReplicaCount=0), "has idleReplicaCount, which the planner does not simulate"),
        (
            changed(fallback={"failureThreshold": 1, "replicas": 1, "behavior": "scalingModifiers"}),
            "is 'scalingModifiers'; the planner knows static, currentReplicas,",
        ),
        (
            changed(advanced={"scalingModifiers": {"formula": "total", "target": "1"}}),
            "each of its triggers must have a name of its own",
        ),
        (changed(advanced={"scalingModifiers": {"formula": "total"}}), "scalingModifiers of plain has no target"),
        (
            changed(
                advanced={
                    "horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 4000}}}
                }
            ),
            "has stabilizationWindowSeconds 4000; it takes 0 to 3600",
        ),
    ],
)
def test_what_the_planner_does_not_understand_is_named(document: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError) as raised:
        manifest.read(document)
    assert said in str(raised.value)


def test_a_formula_may_name_its_own_triggers_only() -> None:
    named = [{**PLAIN["spec"]["triggers"][0], "name": "total"}]
    modifiers = {"formula": "total - ready", "target": "1"}

    with pytest.raises(PlanError, match="names ready; its triggers are total"):
        manifest.read(changed(triggers=named, advanced={"scalingModifiers": modifiers}))


@pytest.mark.parametrize(
    ("text", "said"),
    [("kind: Deployment", "has no ScaledObject"), ("a: [", "is no YAML"), ("", "has no ScaledObject")],
)
def test_a_file_without_a_scaled_object_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(text)
    with pytest.raises(PlanError, match=said):
        manifest.load(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none\.yaml can't be read: No such file"):
        manifest.load(tmp_path / "none.yaml")

"""k8s/keda as it is applied, beside the code that it names."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.metrics import OLDEST_WAITING
from planner import hpa, manifest
from planner.scaled_object import Age, FallbackBehavior, Floor, Queue, ScaledObject
from shared.jobs import Lane
from shared.queue import queue_name
from tests.k8s.manifests import K8S, needs_kubectl, needs_schemas, rendered, validated

KEDA = K8S / "keda"
STANDIN = K8S / "components" / "standin"  # an option, and so not among the others
LANES = [lane for lane in Lane if lane is not Lane.STANDIN]


def text(lane: Lane) -> str:
    return ((STANDIN if lane is Lane.STANDIN else KEDA) / f"scaledobject-worker-{lane}.yaml").read_text()


def document(lane: Lane) -> dict[str, Any]:
    return yaml.safe_load(text(lane))


def scaled_object(lane: Lane) -> ScaledObject:
    return manifest.read(document(lane))


@pytest.fixture
def without_prometheus(tmp_path: Path) -> Path:
    """An overlay as a cluster without Prometheus would have it."""
    named = {"resources": [KEDA], "components": [KEDA / "without-prometheus"]}
    relative = {kind: [os.path.relpath(each, tmp_path) for each in folders] for kind, folders in named.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    return tmp_path


@needs_kubectl
def test_it_renders_every_file_and_nothing_else() -> None:
    found = [(each["kind"], each["metadata"]["name"]) for each in rendered(KEDA)]

    assert sorted(found) == [
        *sorted(("ScaledObject", f"worker-{lane}") for lane in LANES),
        ("TriggerAuthentication", "rabbitmq"),
    ]
    files = {file.stem.removeprefix(f"{kind.lower()}-") for kind, _ in found for file in KEDA.glob(f"{kind.lower()}-*")}
    assert files == {name for _, name in found}


@needs_kubectl
@needs_schemas
def test_what_is_rendered_is_valid(tmp_path: Path, without_prometheus: Path) -> None:
    for folder in (KEDA, without_prometheus):
        done = validated(rendered(folder), tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_schemas
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("cooldownPeriod", "soon", "cooldownPeriod: 'soon' is not of type 'integer'"),
        ("replicas", 3, "'replicas' was unexpected"),
        ("triggers", [{"type": "rabbitmq", "metadata": {"metricName": "x"}}], "metadata.metricName is not a parameter"),
    ],
)
def test_what_is_wrong_would_be_found(tmp_path: Path, name: str, value: object, said: str) -> None:
    wrong = document(Lane.BULK)
    wrong["spec"][name] = value

    done = validated([wrong], tmp_path)

    assert done.returncode == 1, done.stdout
    assert said in done.stdout


@needs_kubectl
def test_there_is_one_scaler_for_each_deployment() -> None:
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in rendered(KEDA) if each["kind"] == "ScaledObject"]

    assert sorted(targets) == sorted(f"worker-{lane}" for lane in LANES)


@pytest.mark.parametrize("lane", Lane)
def test_a_scaler_looks_at_the_queue_of_its_lane(lane: Lane) -> None:
    scaled = scaled_object(lane)

    assert scaled.queues == {queue_name(lane)}
    total, ready = (each for each in scaled.triggers if isinstance(each, Queue))
    assert (total.name, total.over_http, total.counts_taken) == ("total", True, True)
    assert (ready.name, ready.over_http, ready.counts_taken) == ("ready", True, False)
    assert total.value == ready.value == scaled.messages_per_replica  # what stands for form says the same


@pytest.mark.parametrize("lane", Lane)
def test_the_formula_grows_by_backlog_and_never_cuts_who_is_at_work(lane: Lane) -> None:
    scaled = scaled_object(lane)
    assert scaled.modifiers

    def wanted(*, total: float, ready: float, floor: float = 1, late: float = 0) -> float:
        assert scaled.modifiers
        return scaled.modifiers.formula({"total": total, "ready": ready, "floor": floor, "late": late})

    each = scaled.messages_per_replica
    assert wanted(total=each * 7, ready=each * 7) == 7
    assert wanted(total=6, ready=0) == 6
    assert wanted(total=0, ready=0, floor=0) == 0
    assert (scaled.modifiers.target, scaled.modifiers.metric_type) == (1, hpa.MetricType.AVERAGE_VALUE)


@pytest.mark.parametrize("lane", LANES)
def test_who_is_late_gets_twice_the_workers_at_work(lane: Lane) -> None:
    scaled = scaled_object(lane)
    assert scaled.modifiers
    (age,) = (each for each in scaled.triggers if isinstance(each, Age))
    formula, some = scaled.modifiers.formula, {"floor": 1}

    assert formula({"total": 6, "ready": 4, "late": age.value, **some}) == max(2, 6 / scaled.messages_per_replica)
    assert formula({"total": 6, "ready": 4, "late": age.value + 1, **some}) == 4
    assert formula({"total": 3, "ready": 1, "late": age.value + 1, **some}) == 3  # never more workers than messages


@pytest.mark.parametrize("lane", Lane)
def test_a_lane_s_limits(lane: Lane) -> None:
    scaled = scaled_object(lane)
    limits = scaled.limits

    assert scaled.min_replicas == (1 if lane in (Lane.INTERACTIVE, Lane.STANDIN) else 0)
    assert limits.up.window_seconds == 0
    assert max(each.value for each in limits.up.policies) >= scaled.max_replicas  # the whole way at once
    assert limits.down.window_seconds >= 60
    assert all(each.period_seconds >= 60 for each in limits.down.policies)
    assert scaled.fallback
    assert scaled.fallback.behavior is FallbackBehavior.CURRENT_IF_HIGHER
    assert scaled.fallback.threshold >= 2
    assert 1 <= scaled.fallback.replicas <= scaled.max_replicas


def test_only_the_lane_that_never_sleeps_has_a_floor() -> None:
    """In a formula a cron trigger counts 1 outside of its hours, which would keep a lane from 0."""
    assert [lane for lane in LANES if any(isinstance(each, Floor) for each in scaled_object(lane).triggers)] == [
        Lane.INTERACTIVE
    ]


@pytest.mark.parametrize("lane", LANES)
def test_the_age_is_one_series_of_a_metric_that_the_gateway_has(lane: Lane) -> None:
    (trigger,) = (each for each in document(lane)["spec"]["triggers"] if each["type"] == "prometheus")
    data = trigger["metadata"]
    (metric,) = OLDEST_WAITING.describe()

    assert data["query"] == f'max({metric.name}{{lane="{lane}"}})'
    assert data["ignoreNullValues"] == "true"
    assert f"late > {data['threshold']} ?" in document(lane)["spec"]["advanced"]["scalingModifiers"]["formula"]


@pytest.mark.parametrize("lane", Lane)
def test_servers_are_named_with_their_namespace_and_passwords_come_from_a_secret(lane: Lane) -> None:
    triggers = document(lane)["spec"]["triggers"]
    addresses = [each["metadata"].get("host") or each["metadata"].get("serverAddress") for each in triggers]

    assert all(f".{space}.svc:" in each for each in addresses if each for space in [each.split(".")[1]])
    assert all("@" not in each for each in addresses if each)
    namespace = yaml.safe_load(_text("kustomization.yaml"))["namespace"]
    assert all(
        each["metadata"]["host"] == f"http://rabbitmq.{namespace}.svc:15672/"
        and each["authenticationRef"] == {"name": "rabbitmq"}
        for each in triggers
        if each["type"] == "rabbitmq"
    )
    authentication = yaml.safe_load(_text("triggerauthentication-rabbitmq.yaml"))
    assert {each["parameter"] for each in authentication["spec"]["secretTargetRef"]} == {"username", "password"}
    assert len({each["name"] for each in authentication["spec"]["secretTargetRef"]}) == 1


@pytest.mark.parametrize("lane", Lane)
def test_every_trigger_value_is_a_string(lane: Lane) -> None:
    assert all(
        isinstance(value, str) for each in document(lane)["spec"]["triggers"] for value in each["metadata"].values()
    )


@pytest.mark.parametrize("lane", Lane)
def test_every_number_has_its_reason_beside_it_or_above(lane: Lane) -> None:
    lines = text(lane).splitlines()
    decisive = ("minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "failureThreshold")
    decisive += ("replicas:", "stabilizationWindowSeconds", "desiredReplicas")

    unexplained = [line for line in lines if line.strip().startswith(decisive) and "# " not in line]
    assert not unexplained


@needs_kubectl
def test_without_prometheus_only_the_age_is_missing(without_prometheus: Path) -> None:
    found = {each["metadata"]["name"]: each for each in rendered(without_prometheus) if each["kind"] == "ScaledObject"}

    for lane in LANES:
        ours, theirs = scaled_object(lane), manifest.read(found[f"worker-{lane}"])
        assert theirs.triggers == tuple(each for each in ours.triggers if not isinstance(each, Age))
        assert (theirs.messages_per_replica, theirs.limits) == (ours.messages_per_replica, ours.limits)
        assert ours.modifiers
        assert theirs.modifiers
        expected = ours.modifiers.formula.text.partition(", late >")[0] + ")"
        assert theirs.modifiers.formula.text == expected


def _text(name: str) -> str:
    return (KEDA / name).read_text()

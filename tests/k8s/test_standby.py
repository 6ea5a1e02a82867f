"""components/standby on top of overlays/production-gpu: pods that keep GPUs ready, by the clock."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.simulation import STANDBY_SECONDS
from tests.k8s.manifests import K8S, composed, gib, needs_kubectl, needs_schemas, of_kind, overlay, pods, validated
from tests.k8s.test_pod_security import violations

pytestmark = needs_kubectl


@cache
def documents() -> list[dict[str, Any]]:
    return composed(resources=["overlays/production-gpu"], components=["components/standby"])


def spec(pod: str) -> dict[str, Any]:
    return pods(documents())[pod]["spec"]


def scaler() -> dict[str, Any]:
    return of_kind(documents(), "ScaledObject")["standby"]["spec"]


def test_no_overlay_pays_for_gpus_that_only_stand_by() -> None:
    assert "standby" not in str([overlay("production-gpu"), overlay("local-cpu")])


@needs_schemas
def test_it_is_valid(tmp_path: Path) -> None:
    done = validated(documents(), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_at_night_there_are_none_and_by_day_as_many_as_the_clock_asks_for() -> None:
    (clock,) = scaler()["triggers"]

    assert scaler()["minReplicaCount"] == 0
    assert scaler()["maxReplicaCount"] == int(clock["metadata"]["desiredReplicas"])
    assert scaler()["cooldownPeriod"] == 0
    assert scaler()["pollingInterval"] == STANDBY_SECONDS  # as the planner looks at its --standby-hours
    assert scaler()["scaleTargetRef"] == {"name": "standby"}
    assert "replicas" not in of_kind(documents(), "Deployment")["standby"]["spec"]  # they are KEDA's


def test_they_keep_the_hours_of_the_interactive_lane_s_floor() -> None:
    (clock,) = scaler()["triggers"]
    interactive = yaml.safe_load((K8S / "keda" / "scaledobject-worker-interactive.yaml").read_text())
    (floor,) = (each for each in interactive["spec"]["triggers"] if each["type"] == "cron")

    for each in ("timezone", "start", "end"):
        assert clock["metadata"][each] == floor["metadata"][each]


@pytest.mark.parametrize("pod", ["worker-interactive", "worker-bulk"])
def test_a_worker_fits_where_a_standby_pod_was_and_that_one_goes_at_once(pod: str) -> None:
    (standby,), (worker,) = spec("standby")["containers"], spec(pod)["containers"]
    (initial,) = spec(pod)["initContainers"]

    for each in ("nodeSelector", "tolerations"):
        assert spec("standby")[each] == spec(pod)[each]
    for each in ("cpu", "memory"):
        assert standby["resources"]["requests"][each] == worker["resources"]["requests"][each]
    assert gib(initial["resources"]["requests"]["memory"]) <= gib(worker["resources"]["requests"]["memory"])
    assert standby["resources"]["limits"]["nvidia.com/gpu"] == worker["resources"]["limits"]["nvidia.com/gpu"]
    assert spec("standby")["terminationGracePeriodSeconds"] == 0


def test_whoever_works_goes_before_it_and_the_autoscaler_fetches_a_node_for_it_all_the_same() -> None:
    classes = {name: each["value"] for name, each in of_kind(documents(), "PriorityClass").items()}

    assert spec("standby")["priorityClassName"] == "emotivoice-standby"
    assert min(classes["emotivoice-interactive"], classes["emotivoice-bulk"]) > 0 > classes["emotivoice-standby"]
    assert classes["emotivoice-standby"] >= -10  # the autoscaler's expendable-pods-priority-cutoff


def test_the_restricted_namespace_lets_it_in_and_it_listens_on_nothing() -> None:
    assert [*violations(pods(documents())["standby"])] == []
    assert "ports" not in spec("standby")["containers"][0]

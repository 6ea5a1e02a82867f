"""k8s/monitoring as it is applied, beside the pods that it looks at."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.jobs import Lane
from tests.k8s.manifests import (
    ROOT,
    composed,
    containers,
    needs_kubectl,
    needs_schemas,
    of_kind,
    pods,
    rendered,
    validated,
)
from tests.monitoring.monitoring import DASHBOARDS, MONITORING


@pytest.fixture(scope="module")
def applied() -> list[dict[str, Any]]:
    return rendered(MONITORING)


@pytest.fixture(scope="module")
def watched() -> dict[str, dict[str, Any]]:
    """The pods of a whole try-out, with every lane."""
    return pods(composed(resources=["base", "keda", "dependencies"], components=["components/standin"]))


@needs_kubectl
def test_it_renders_every_file(applied: list[dict[str, Any]]) -> None:
    files = {file.stem for file in MONITORING.glob("*-*.yaml")}

    assert files == {
        f"{each['kind'].lower()}-{each['metadata']['name'].removeprefix('emotivoice-')}"
        for each in applied
        if each["kind"] != "ConfigMap"
    }
    (dashboards,) = of_kind(applied, "ConfigMap").values()
    assert dashboards["data"].keys() == {file.name for file in DASHBOARDS}
    assert dashboards["metadata"]["labels"] == {"grafana_dashboard": "1"}


@needs_kubectl
@needs_schemas
def test_what_is_rendered_is_valid(applied: list[dict[str, Any]], tmp_path: Path) -> None:
    done = validated(applied, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_kubectl
def test_a_monitor_finds_its_pods_and_their_port(
    applied: list[dict[str, Any]], watched: dict[str, dict[str, Any]]
) -> None:
    found: dict[str, set[str]] = {}
    for name, monitor in of_kind(applied, "PodMonitor").items():
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        chosen = {each: pod for each, pod in watched.items() if wanted <= pod["metadata"]["labels"].items()}
        found[name] = set(chosen)
        for pod in chosen.values():
            ports = {port["name"] for each in containers(pod) for port in each.get("ports", [])}
            assert {each["port"] for each in monitor["spec"]["podMetricsEndpoints"]} <= ports

    assert found == {
        "gateway": {"gateway"},
        "worker": {f"worker-{lane}" for lane in Lane},
        "sweeper": {"sweeper"},
        "rabbitmq": {"rabbitmq"},
    }


@needs_kubectl
def test_a_worker_s_pod_says_its_lane(watched: dict[str, dict[str, Any]]) -> None:
    for lane in Lane:
        assert watched[f"worker-{lane}"]["metadata"]["labels"]["lane"] == lane


@needs_kubectl
def test_compose_names_its_jobs_as_the_operator_does(applied: list[dict[str, Any]]) -> None:
    compose = yaml.safe_load((ROOT / "docker" / "prometheus.yml").read_text())
    jobs: set[str] = set()
    for name, monitor in of_kind(applied, "PodMonitor").items():
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            given = [each["replacement"] for each in endpoint.get("relabelings", []) if each["targetLabel"] == "job"]
            jobs.update(given or [f"{monitor['metadata']['namespace']}/{name}"])

    assert {job["job_name"] for job in compose["scrape_configs"]} == jobs


@needs_kubectl
def test_the_lane_of_a_worker_has_one_name_everywhere(applied: list[dict[str, Any]]) -> None:
    compose = yaml.safe_load((ROOT / "docker" / "prometheus.yml").read_text())
    (worker,) = (job for job in compose["scrape_configs"] if job["job_name"] == "emotivoice/worker")
    (theirs,) = worker["relabel_configs"]
    (endpoint,) = of_kind(applied, "PodMonitor")["worker"]["spec"]["podMetricsEndpoints"]
    (ours,) = endpoint["relabelings"]

    assert (ours["sourceLabels"], ours["targetLabel"]) == (["__meta_kubernetes_pod_label_lane"], theirs["target_label"])


def test_the_fallback_is_read_from_the_conditions_under_the_name_that_the_alert_asks_for() -> None:
    document = yaml.safe_load((MONITORING / "kube-state-metrics" / "scaledobjects.yaml").read_text())
    (resource,) = document["spec"]["resources"]
    (metric,) = resource["metrics"]

    assert f"{resource['metricNamePrefix']}_{metric['name']}" == "kube_keda_scaledobject_condition"
    assert {*resource["labelsFromPath"], *metric["each"]["gauge"]["labelsFromPath"]} == {
        "scaledobject",
        "namespace",
        "type",
    }


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_has_an_address_of_its_own(dashboard: Path) -> None:
    assert json.loads(dashboard.read_text())["uid"] == f"emotivoice-{dashboard.stem}"

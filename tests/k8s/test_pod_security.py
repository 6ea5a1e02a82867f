"""Pods beside the restricted Pod Security Standard of Kubernetes 1.35, whose rules are written here once more.

Source: kubernetes.io/docs/concepts/security/pod-security-standards, Baseline and Restricted.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.k8s.manifests import K8S, composed, containers, needs_kubectl, of_kind, overlay, pods, rendered

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ping_group_range"}  # and some more
SECCOMP = {"RuntimeDefault", "Localhost"}


def violations(pod: dict[str, Any]) -> Iterator[str]:
    spec = pod["spec"]
    of_pod = spec.get("securityContext", {})
    yield from (f"{each} is on" for each in ("hostNetwork", "hostPID", "hostIPC") if spec.get(each))
    yield from (f"volume {each['name']}" for each in spec.get("volumes", []) if not set(each) <= VOLUMES | {"name"})
    yield from (f"sysctl {each['name']}" for each in of_pod.get("sysctls", []) if each["name"] not in SYSCTLS)
    for container in containers(pod):
        own = container.get("securityContext", {})
        both, name = {**of_pod, **own}, container["name"]
        rules = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in SECCOMP,
            "procMount": own.get("procMount", "Default") == "Default",
            "seLinuxOptions": "seLinuxOptions" not in both,
            "appArmorProfile": both.get("appArmorProfile", {}).get("type") != "Unconfined",
            "windowsOptions": "windowsOptions" not in both,
            "drop": "ALL" in own.get("capabilities", {}).get("drop", []),
            "add": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
        }
        yield from (f"{name}: {rule}" for rule, kept in rules.items() if not kept)


def everything() -> dict[str, dict[str, Any]]:
    """Every pod that we render, in the namespace emotivoice or in another."""
    named = {"gpu": overlay("production-gpu"), "cpu": overlay("local-cpu")}
    named |= {each: rendered(K8S / each) for each in ("canary", "logging")}
    return {f"{source}/{name}": pod for source, documents in named.items() for name, pod in pods(documents).items()}


@needs_kubectl
@pytest.mark.parametrize("name", ["production-gpu", "local-cpu"])
def test_the_namespace_is_restricted_in_all_three_ways_and_of_a_pinned_version(name: str) -> None:
    labels = of_kind(overlay(name), "Namespace")["emotivoice"]["metadata"]["labels"]

    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"].startswith("v1.")


@needs_kubectl
def test_every_pod_of_the_restricted_namespace_would_be_let_in() -> None:
    restricted = {name: pod for name, pod in everything().items() if pod["namespace"] == "emotivoice"}

    assert len(restricted) > 15
    assert {name: found for name, pod in restricted.items() if (found := [*violations(pod)])} == {}


@needs_kubectl
def test_pods_go_beyond_what_the_standard_asks() -> None:
    for name, pod in everything().items():
        assert pod["spec"].get("automountServiceAccountToken") is False or name.startswith("logging/"), name
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name


@needs_kubectl
def test_what_may_not_be_restricted_is_in_a_namespace_of_its_own_without_secrets() -> None:
    apart = [name for name, pod in everything().items() if pod["namespace"] != "emotivoice"]
    inside = [each for each in overlay("production-gpu") if each["metadata"].get("namespace") == "emotivoice-nodes"]

    assert apart == ["gpu/prepare"]
    assert [*violations(everything()["gpu/prepare"])] == [
        "volume models",
        "folder: runAsNonRoot",
        "folder: runAsUser",
        "folder: add",
    ]
    assert sorted(each["kind"] for each in inside) == ["DaemonSet", "NetworkPolicy"]
    assert "secret" not in str(inside).lower()


@needs_kubectl
@pytest.mark.parametrize(
    ("where", "key", "value", "said"),
    [
        ("spec", "hostNetwork", True, "hostNetwork is on"),
        ("spec", "volumes", [{"name": "node", "hostPath": {"path": "/"}}], "volume node"),
        ("pod", "runAsNonRoot", False, "worker: runAsNonRoot"),
        ("pod", "runAsUser", 0, "worker: runAsUser"),
        ("pod", "seccompProfile", {"type": "Unconfined"}, "worker: seccompProfile"),
        ("container", "privileged", True, "worker: privileged"),
        ("container", "allowPrivilegeEscalation", True, "worker: allowPrivilegeEscalation"),
        ("container", "capabilities", {"drop": ["NET_RAW"]}, "worker: drop"),
        ("container", "capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "worker: add"),
    ],
)
def test_what_the_standard_forbids_would_be_found(where: str, key: str, value: object, said: str) -> None:
    pod = deepcopy(pods(base())["worker-bulk"])
    spec = pod["spec"]
    places = {"spec": spec, "pod": spec["securityContext"], "container": spec["containers"][0]["securityContext"]}

    places[where][key] = value

    assert said in violations(pod)


def base() -> list[dict[str, Any]]:
    return composed(resources=["base"])

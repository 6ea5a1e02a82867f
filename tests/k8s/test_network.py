"""Who may talk to whom: the NetworkPolicies, played through by the rules of Kubernetes."""

from typing import Any

import pytest

from gateway.settings import GatewaySettings
from sweeper.settings import SweeperSettings
from tests.k8s.manifests import K8S, containers, needs_kubectl, overlay, pods, rendered
from worker.settings import WorkerSettings

OURS = "emotivoice"
SERVERS = {5672, 6379, 443, 15672}  # RabbitMQ, Redis and S3 that are not in the cluster, RabbitMQ's management API
API_SERVER = {443, 6443, 8443}


def policies(documents: list[dict[str, Any]], namespace: str = OURS) -> list[dict[str, Any]]:
    found = [each for each in documents if each["kind"] == "NetworkPolicy"]
    return [each for each in found if each["metadata"]["namespace"] == namespace]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def labels_of(documents: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {name: pod["metadata"]["labels"] for name, pod in pods(documents).items() if pod["namespace"] == OURS}


def ports_of(documents: list[dict[str, Any]], name: str) -> dict[str, int]:
    found = [port for each in containers(pods(documents)[name]) for port in each.get("ports", [])]
    return {port["name"]: port["containerPort"] for port in found}


class Network:
    """A pod of ours is its name, one of another namespace is that namespace's."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self._documents = documents
        self._labels = labels_of(documents)

    def lets(self, source: str, target: str, port: str) -> bool:
        leaves = source not in self._labels or self._opened("egress", source, target, target, port)
        return leaves and self._opened("ingress", target, source, target, port)

    def _opened(self, way: str, owner: str, peer: str, target: str, port: str) -> bool:
        for policy in policies(self._documents):
            if not selects(policy["spec"]["podSelector"], self._labels[owner]):
                continue
            for rule in policy["spec"].get(way, []):
                numbers = {
                    ports_of(self._documents, target).get(str(each["port"]), each["port"]) for each in rule["ports"]
                }
                if ports_of(self._documents, target)[port] in numbers and self._meant(rule, way, peer):
                    return True
        return False

    def _meant(self, rule: dict[str, Any], way: str, peer: str) -> bool:
        sides = rule.get("from" if way == "ingress" else "to")
        if sides is None:  # anyone
            return True
        for each in sides:
            space = each.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
            if space and space == peer:
                return True
            if (
                not space
                and peer in self._labels
                and selects(each.get("podSelector", {"matchLabels": {"": ""}}), self._labels[peer])
            ):
                return True
        return False


@needs_kubectl
@pytest.mark.parametrize("name", ["production-gpu", "local-cpu"])
def test_everything_is_closed_by_default(name: str) -> None:
    spaces = {pod["namespace"] for pod in pods(overlay(name)).values()}

    for space in spaces:
        closed = [each["spec"] for each in policies(overlay(name), space) if each["metadata"]["name"] == "default-deny"]
        assert closed == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}], space


@needs_kubectl
@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        ("ingress-nginx", "gateway", "http"),
        ("monitoring", "gateway", "http"),
        ("monitoring", "worker-bulk", "health"),
        ("monitoring", "sweeper", "health"),
        ("monitoring", "rabbitmq", "prometheus"),
        ("keda", "rabbitmq", "management"),
        ("init", "rabbitmq", "management"),
        *(
            (each, "rabbitmq", "amqp")
            for each in ("gateway", "worker-interactive", "worker-assembly", "sweeper", "init")
        ),
        *((each, "redis", "redis") for each in ("gateway", "worker-interactive", "worker-assembly", "sweeper")),
        *((each, "minio", "s3") for each in ("gateway", "worker-interactive", "worker-assembly", "sweeper", "init")),
    ],
)
def test_a_path_that_is_needed_is_open(source: str, target: str, port: str) -> None:
    assert Network(overlay("local-cpu")).lets(source, target, port)


@needs_kubectl
@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        ("gateway", "rabbitmq", "management"),
        ("worker-bulk", "rabbitmq", "management"),
        ("sweeper", "rabbitmq", "prometheus"),
        ("gateway", "worker-bulk", "health"),
        ("worker-bulk", "gateway", "http"),
        ("redis", "minio", "s3"),
        ("keda", "rabbitmq", "amqp"),
        ("keda", "redis", "redis"),
        ("ingress-nginx", "worker-bulk", "health"),
        ("monitoring", "redis", "redis"),
        ("kube-system", "gateway", "http"),
    ],
)
def test_a_path_that_nobody_needs_is_closed(source: str, target: str, port: str) -> None:
    assert not Network(overlay("local-cpu")).lets(source, target, port)


@needs_kubectl
@pytest.mark.parametrize("name", ["production-gpu", "local-cpu"])
def test_on_every_port_that_is_opened_something_listens(name: str) -> None:
    documents = overlay(name)
    listening = {pod: set(ports_of(documents, pod).items()) for pod in labels_of(documents)}
    known = {each for ports in listening.values() for pair in ports for each in pair} | {53} | SERVERS | API_SERVER

    opened = [
        (policy["metadata"]["name"], port["port"])
        for policy in policies(documents)
        for way in ("ingress", "egress")
        for rule in policy["spec"].get(way, [])
        for port in rule["ports"]
    ]
    assert opened
    assert [each for each in opened if each[1] not in known] == []


@needs_kubectl
@pytest.mark.parametrize("name", ["production-gpu", "local-cpu"])
def test_every_policy_is_for_pods_that_there_are(name: str) -> None:
    labels = labels_of(overlay(name)).values()

    for policy in policies(overlay(name)):
        assert any(selects(policy["spec"]["podSelector"], each) for each in labels), policy["metadata"]["name"]


@needs_kubectl
@pytest.mark.parametrize("name", ["production-gpu", "local-cpu"])
def test_every_pod_may_ask_for_names_wherever_they_are_kept(name: str) -> None:
    """A cache on each node runs in the host's network, which no selector of pods or namespaces matches."""
    (dns,) = [each["spec"] for each in policies(overlay(name)) if each["metadata"]["name"] == "dns"]

    assert dns["podSelector"] == {}
    assert dns["egress"] == [{"ports": [{"protocol": kind, "port": 53} for kind in ("UDP", "TCP")]}]


@needs_kubectl
def test_the_sweeper_alone_reaches_the_api_server() -> None:
    documents = overlay("production-gpu")
    reach = [
        policy
        for policy in policies(documents)
        for rule in policy["spec"].get("egress", [])
        if {port["port"] for port in rule["ports"]} == API_SERVER
    ]

    assert [each["spec"]["podSelector"] for each in reach] == [{"matchLabels": {"app.kubernetes.io/name": "sweeper"}}]


@needs_kubectl
def test_what_is_not_part_of_the_service_reaches_no_server() -> None:
    """The tester that comes with the canary, and whatever else is put into the namespace."""
    tester = pods(rendered(K8S / "canary"))["canary-tester"]["metadata"]["labels"]

    for policy in policies(overlay("local-cpu")):
        if policy["spec"].get("egress") and policy["metadata"]["name"] != "dns":
            assert not selects(policy["spec"]["podSelector"], tester), policy["metadata"]["name"]


@needs_kubectl
def test_ports_are_those_that_the_processes_listen_on() -> None:
    defaults = {"gateway": {"http": GatewaySettings().gateway_port}, "init": {}, "prepare": {}}
    defaults |= {"sweeper": {"health": SweeperSettings().sweeper_health_port}}
    documents = overlay("production-gpu")

    for name in pods(documents):
        assert ports_of(documents, name) == defaults.get(name, {"health": WorkerSettings().health_port}), name


@needs_kubectl
def test_a_service_s_ports_are_those_of_its_pods() -> None:
    documents = overlay("local-cpu")

    for service in (each for each in documents if each["kind"] == "Service"):
        selector = service["spec"]["selector"]
        (name,) = (pod for pod, labels in labels_of(documents).items() if selects({"matchLabels": selector}, labels))
        ports = ports_of(documents, name)
        assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == ports
        assert all(port["targetPort"] == port["name"] for port in service["spec"]["ports"])

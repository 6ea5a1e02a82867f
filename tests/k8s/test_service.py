"""k8s/base, its servers for a try-out, k8s/hpa and the overlays as they are applied, beside the code that they name."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute
from pydantic_settings import BaseSettings

from cli import init, model
from gateway.routes import health
from gateway.settings import GatewaySettings
from shared.jobs import Lane
from sweeper import health as sweeper_health
from sweeper.main import STOP_SECONDS
from sweeper.settings import SweeperSettings
from tests.k8s.manifests import (
    K8S,
    ROOT,
    composed,
    containers,
    needs_kubectl,
    needs_schemas,
    of_kind,
    overlay,
    pods,
    validated,
)
from worker.health import Health
from worker.settings import WorkerSettings

OVERLAYS = ("local-cpu", "production-gpu")
COMPONENTS = sorted(each.name for each in (K8S / "components").iterdir())
SETTINGS: dict[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "sweeper": SweeperSettings,
    "init": GatewaySettings,
    "model": GatewaySettings,
}
SECRETS = {
    "emotivoice": {"broker-url", "redis-url", "s3-access-key", "s3-secret-key"},
    "rabbitmq-admin": {"admin-url"},
}


def documents(name: str) -> list[dict[str, Any]]:
    """Of an overlay, or what it would be with k8s/hpa."""
    return composed(resources=["base", "dependencies"], components=["hpa"]) if name == "hpa" else overlay(name)


def ours(name: str) -> dict[str, dict[str, Any]]:
    """The containers of our own processes, by the names of pod and container."""
    found = {
        (pod, each["name"]): each for pod, template in pods(documents(name)).items() for each in containers(template)
    }
    return {f"{pod}/{container}": each for (pod, container), each in found.items() if container in SETTINGS}


def variables(name: str, container: dict[str, Any]) -> dict[str, str]:
    """What a container is told, with those of its ConfigMaps; a secret's value is its key."""
    maps = of_kind(documents(name), "ConfigMap")
    told: dict[str, str] = {}
    for source in container.get("envFrom", []):
        told |= maps[source["configMapRef"]["name"]]["data"]
    for each in container.get("env", []):
        told[each["name"]] = each["value"] if "value" in each else each["valueFrom"]["secretKeyRef"]["key"]
    return told


def fields(name: str, container: dict[str, Any]) -> dict[str, Any]:
    prefix, told = "EMOTIVOICE_", variables(name, container)
    return {key.removeprefix(prefix).lower(): told[key] for key in told if key.startswith(prefix)}


def worker_settings(name: str, container: dict[str, Any]) -> WorkerSettings:
    return WorkerSettings(**fields(name, container))


def workers(name: str) -> dict[str, dict[str, Any]]:
    return {pod: each for pod, each in of_kind(documents(name), "Deployment").items() if pod.startswith("worker-")}


@needs_kubectl
@needs_schemas
@pytest.mark.parametrize("name", [*OVERLAYS, "hpa"])
def test_what_an_overlay_renders_is_valid(name: str, tmp_path: Path) -> None:
    done = validated(documents(name), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_kubectl
@needs_schemas
@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_renders_by_itself_and_is_valid(component: str, tmp_path: Path) -> None:
    done = validated(composed(resources=["base", "keda"], components=[f"components/{component}"]), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_kubectl
@pytest.mark.parametrize("name", [*OVERLAYS, "hpa"])
def test_a_deployment_has_one_scaler_or_replicas_and_never_both(name: str) -> None:
    scalers = [each for each in documents(name) if each["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")]
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    deployments = of_kind(documents(name), "Deployment")
    fixed = {each for each, deployment in deployments.items() if "replicas" in deployment["spec"]}

    assert len(targets) == len(set(targets))
    assert set(targets) | fixed == set(deployments)
    assert set(targets).isdisjoint(fixed)
    assert set(workers(name)) <= set(targets)


@needs_kubectl
def test_keda_and_hpa_are_never_together() -> None:
    for name in OVERLAYS:
        assert not of_kind(documents(name), "HorizontalPodAutoscaler")
    assert not of_kind(documents("hpa"), "ScaledObject")


@needs_kubectl
@pytest.mark.parametrize("name", [*OVERLAYS, "hpa"])
def test_each_lane_has_workers_of_its_own(name: str) -> None:
    found = workers(name)
    assert set(found) == {f"worker-{lane}" for lane in Lane if lane is not Lane.STANDIN or name == "production-gpu"}

    for pod, worker in found.items():
        lane = pod.removeprefix("worker-")
        labels = worker["spec"]["template"]["metadata"]["labels"]
        (container,) = worker["spec"]["template"]["spec"]["containers"]
        assert worker["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "worker", "lane": lane}
        assert labels == {**worker["spec"]["selector"]["matchLabels"], "app.kubernetes.io/part-of": "emotivoice"}
        assert worker_settings(name, container).lane == lane


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_process_is_told_only_settings_that_it_has(name: str) -> None:
    for pod, container in ours(name).items():
        kind = SETTINGS[container["name"]]
        known = {f"EMOTIVOICE_{field.upper()}" for field in kind.model_fields}
        if container["name"] == "init":
            known.add("EMOTIVOICE_BROKER_ADMIN_URL")  # no setting, but an option of the command
        if container["name"] == "model":
            known.add("EMOTIVOICE_MODEL_DIR")  # its command line has it
        told = {each for each in variables(name, container) if each.startswith("EMOTIVOICE_")}
        assert told <= known, pod
        assert {"EMOTIVOICE_S3_ENDPOINT", "EMOTIVOICE_S3_ACCESS_KEY", "EMOTIVOICE_S3_SECRET_KEY"} <= told, pod
        if container["name"] in ("gateway", "worker", "sweeper"):
            assert {"EMOTIVOICE_BROKER_URL", "EMOTIVOICE_REDIS_URL"} <= told, pod
            hosts = [each for each in told if each.endswith("_HOST")]
            assert [variables(name, container)[each] for each in hosts] == ["0.0.0.0"], pod


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_process_starts_with_what_it_is_told(name: str) -> None:
    """A gateway, for one, does not where it would serve whoever comes."""
    for pod, container in ours(name).items():
        if container["name"] in ("gateway", "worker", "sweeper"):
            assert SETTINGS[container["name"]](**fields(name, container)), pod


@needs_kubectl
def test_nobody_is_let_in_without_a_key_but_for_the_try_out() -> None:
    def auth(name: str) -> bool:
        return GatewaySettings(**fields(name, ours(name)["gateway/gateway"])).auth

    assert (auth("production-gpu"), auth("hpa"), auth("local-cpu")) == (True, True, False)


@needs_kubectl
def test_every_secret_key_is_one_of_the_contract_and_admin_s_is_init_s_alone() -> None:
    read: dict[str, set[str]] = {}
    for pod, container in ours("production-gpu").items():
        for each in container.get("env", []):
            if "valueFrom" in each:
                reference = each["valueFrom"]["secretKeyRef"]
                read.setdefault(reference["name"], set()).add(reference["key"])
                assert reference["name"] != "rabbitmq-admin" or pod == "init/init"
    assert read == SECRETS


@needs_kubectl
def test_the_try_out_has_every_secret_that_is_read() -> None:
    there = {name: set(each["data"]) for name, each in of_kind(documents("local-cpu"), "Secret").items()}
    read = re.findall(r"'secretKeyRef': \{'key': '([^']+)', 'name': '([^']+)'\}", str(documents("local-cpu")))
    authentication = of_kind(documents("local-cpu"), "TriggerAuthentication")["rabbitmq"]
    asked = [(each["key"], each["name"]) for each in authentication["spec"]["secretTargetRef"]]

    assert len(read) > 10
    assert [(key, name) for key, name in [*read, *asked] if key not in there[name]] == []
    assert there["emotivoice"] == SECRETS["emotivoice"]


def test_no_secret_is_in_the_tree() -> None:
    files = [each for each in K8S.rglob("*") if each.is_file() and "secrets" not in each.relative_to(K8S).parts]
    assert len(files) > 50
    assert [
        each for each in files if each.suffix == ".yaml" and re.search(r"^kind: Secret$", each.read_text(), re.M)
    ] == []
    for example in (each for each in files if "secrets.example" in each.parts):
        passwords = re.findall(r"(?:password=|key=|//[^:\s]*:)([^@\s]+)", example.read_text())
        assert set(passwords) <= {"change-me", "emotivoice"}, example
    assert "/k8s/overlays/*/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def answered_paths() -> dict[str, set[str]]:
    paths = ("/startupz", "/livez", "/readyz")
    swept = sweeper_health.Health(sweep_seconds=1)
    return {
        "gateway": {route.path for route in health.router.routes if isinstance(route, APIRoute)},
        "worker": {path for path in paths if Health().answer(path)[0] != 404},
        "sweeper": {path for path in paths if swept.answer(path)[0] != 404},
    }


@needs_kubectl
def test_probes_ask_paths_that_are_answered_on_ports_that_are_named() -> None:
    answered = answered_paths()
    for pod, container in ours("production-gpu").items():
        if container["name"] not in answered:
            continue
        for each in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[each]["httpGet"]
            assert probe["path"] in answered[container["name"]], pod
            assert probe["port"] in {port["name"] for port in container["ports"]}, pod


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_worker_s_probes_mean_three_things_and_leave_time_to_load(name: str) -> None:
    for pod, worker in workers(name).items():
        (container,) = worker["spec"]["template"]["spec"]["containers"]
        probes = [container[each]["httpGet"]["path"] for each in ("startupProbe", "readinessProbe", "livenessProbe")]
        start = container["startupProbe"]
        assert probes == ["/startupz", "/readyz", "/livez"], pod
        budget = start["periodSeconds"] * start["failureThreshold"]
        assert budget > worker_settings(name, container).load_limit_seconds, pod


@needs_kubectl
@pytest.mark.parametrize("name", [*OVERLAYS, "hpa"])
def test_a_worker_knows_its_grace_period_in_which_any_segment_ends(name: str) -> None:
    for pod, worker in workers(name).items():
        template = worker["spec"]["template"]["spec"]
        settings = worker_settings(name, template["containers"][0])
        assert template["terminationGracePeriodSeconds"] == settings.grace_seconds, pod
        assert settings.grace_seconds - settings.grace.handing_back > settings.segment_limit_seconds, pod


@needs_kubectl
def test_gateway_and_sweeper_have_the_time_to_stop_that_they_take() -> None:
    found = pods(documents("production-gpu"))
    gateway, sweeper = found["gateway"]["spec"], found["sweeper"]["spec"]
    waits = gateway["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    (polls,) = re.findall(r"timeout_graceful_shutdown=(\d+)", (ROOT / "gateway/main.py").read_text())

    assert gateway["terminationGracePeriodSeconds"] > waits + int(polls)
    assert sweeper["terminationGracePeriodSeconds"] > STOP_SECONDS


@needs_kubectl
def test_interactive_goes_before_bulk_and_both_before_what_has_no_class() -> None:
    classes = {name: each["value"] for name, each in of_kind(documents("production-gpu"), "PriorityClass").items()}
    of_pods = {name: pod["spec"].get("priorityClassName") for name, pod in pods(documents("production-gpu")).items()}
    of_pods.pop("prepare")

    assert classes["emotivoice-interactive"] > classes["emotivoice-bulk"] > 0
    assert of_pods.pop("worker-bulk") == "emotivoice-bulk"
    assert set(of_pods.values()) == {"emotivoice-interactive"}


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_deployment_of_ours_can_lose_a_node(name: str) -> None:
    budgets = of_kind(documents(name), "PodDisruptionBudget")
    deployments = of_kind(documents(name), "Deployment")

    assert {each: one["spec"]["selector"] for each, one in budgets.items()} == {
        each: one["spec"]["selector"] for each, one in deployments.items()
    }
    for each, deployment in deployments.items():
        for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"] == deployment["spec"]["selector"], each


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_images_are_pinned_and_ours_are_what_the_dockerfile_makes(name: str) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE))
    for pod in pods(documents(name)).values():
        for container in containers(pod):
            image, _, tag = container["image"].rpartition(":")
            assert image
            assert tag != "latest"
            if "emotivoice-" in image:
                assert image.rpartition("/")[2].removeprefix("emotivoice-") in targets
    assert {each["command"][0] for each in ours(name).values()} == {
        "python",
        "emotivoice",
    }  # no shell: PID 1 gets SIGTERM


@needs_kubectl
def test_the_servers_of_a_try_out_are_those_of_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    found = pods(documents("local-cpu"))
    for name in ("rabbitmq", "redis", "minio"):
        assert found[name]["spec"]["containers"][0]["image"] == services[name]["image"]
    arguments = " ".join(found["redis"]["spec"]["containers"][0]["args"])
    for setting in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "--requirepass $("):
        assert setting in arguments
        assert setting.partition("$")[0] in " ".join(services["redis"]["command"])


def test_rabbitmq_has_one_configuration_everywhere() -> None:
    assert (K8S / "dependencies/rabbitmq.conf").read_text() == (ROOT / "docker/rabbitmq.conf").read_text()


@needs_kubectl
def test_options_on_command_lines_are_there() -> None:
    found = ours("production-gpu")
    assert found["init/init"]["command"][:3] == ["emotivoice", "init", "--wait"]
    assert "wait" in inspect.signature(init.init).parameters
    pull = found["worker-bulk/model"]["command"]
    assert pull[:3] + pull[5:6] == ["emotivoice", "model", "pull", "--wait"]
    assert [*inspect.signature(model.pull).parameters] == ["url", "folder", "wait"]


@needs_kubectl
def test_what_a_changed_setting_reaches_is_started_anew() -> None:
    """By the hash in the ConfigMap's name."""
    (name,) = (each for each in of_kind(documents("production-gpu"), "ConfigMap") if each.startswith("emotivoice-"))
    assert all({"configMapRef": {"name": name}} in each["envFrom"] for each in ours("production-gpu").values())


DECISIVE = re.compile(
    r"^\s*(- )?(replicas|minReplicas|maxReplicas|min\w*Count|max\w*Count|pollingInterval|terminationGracePeriodSeconds|"
    r"failureThreshold|timeoutSeconds|\w*[dD]eadlineSeconds|ttlSecondsAfterFinished|backoffLimit|value: -?\d|"
    r"revisionHistoryLimit|stabilizationWindowSeconds|emptyDir|limits|maxUnavailable|rollingUpdate|"
    r"expirationSeconds|target: \{ type)\b"
)


def test_every_decision_has_its_reason_beside_it_or_above() -> None:
    unexplained: list[str] = []
    for folder in ("base", "components", "dependencies", "hpa", "overlays"):
        for file in sorted((K8S / folder).rglob("*.yaml")):
            lines = file.read_text().splitlines()
            for above, line in zip(["", *lines], lines, strict=False):
                explained = "# " in line or above.lstrip().startswith("# ")
                if DECISIVE.match(line) and re.search(r"\d", line) and not explained:
                    unexplained.append(f"{file.relative_to(K8S)}: {line.strip()}")
    assert unexplained == []


def test_the_guide_names_what_is_there() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    named = set(re.findall(r"`(?:k8s/)?((?:k8s|components|overlays)/[\w./-]+|k8s/[\w./-]+)`", guide))
    links = {each for each in re.findall(r"\]\(([\w./-]+)", guide) if "/" not in each or each.startswith("..")}

    assert len(named) > 3
    assert [each for each in named if not (K8S / each.removeprefix("k8s/")).exists()] == []
    assert [each for each in links if not (ROOT / "docs" / each).exists()] == []
    for component in COMPONENTS:
        assert f"`{component}`" in guide

"""overlays/production-gpu: GPUs, the model's cache, jobs spoken together, who is spared."""

import inspect
import re
from typing import Any

import pytest
import yaml

from planner import manifest
from planner.scaled_object import Age, Busy
from shared.jobs import Lane
from sweeper import pod_costs
from tests.k8s.manifests import K8S, composed, containers, gib, needs_kubectl, of_kind, overlay, pods
from worker import metrics
from worker.settings import WorkerSettings

pytestmark = needs_kubectl
GPU = ("worker-interactive", "worker-bulk")
OTHERS = ("worker-assembly", "worker-standin")


def documents() -> list[dict[str, Any]]:
    return overlay("production-gpu")


def spec(pod: str) -> dict[str, Any]:
    return pods(documents())[pod]["spec"]


def volumes(pod: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in spec(pod)["volumes"]}


def mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["mountPath"]: each for each in container["volumeMounts"]}


@pytest.mark.parametrize("pod", GPU)
def test_a_worker_with_the_model_has_a_gpu_to_itself_and_shared_memory(pod: str) -> None:
    (worker,) = spec(pod)["containers"]
    told = {each["name"]: each.get("value") for each in worker["env"]}

    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert worker["image"].partition(":")[0].endswith("emotivoice-worker-gpu")
    assert (told["EMOTIVOICE_ENGINE"], told["EMOTIVOICE_DEVICE"]) == ("emotivoice", "cuda")
    assert float(str(told["EMOTIVOICE_MEMORY_LIMIT_GIB"])) < gib(worker["resources"]["limits"]["memory"])
    assert 4 <= gib(worker["resources"]["requests"]["memory"]) <= gib(worker["resources"]["limits"]["memory"]) <= 8
    assert told["OMP_NUM_THREADS"] == worker["resources"]["limits"]["cpu"]
    assert volumes(pod)[mounts(worker)["/dev/shm"]["name"]]["emptyDir"]["medium"] == "Memory"


@pytest.mark.parametrize("pod", OTHERS)
def test_a_worker_without_the_model_takes_no_gpu(pod: str) -> None:
    (worker,) = spec(pod)["containers"]

    assert "nvidia.com/gpu" not in worker["resources"]["limits"]
    assert worker["image"].partition(":")[0].endswith("emotivoice-worker-cpu")
    assert not {"nodeSelector", "tolerations", "initContainers"} & set(spec(pod))


def test_the_stand_in_has_the_builtin_engine() -> None:
    told = {each["name"]: each.get("value") for each in spec("worker-standin")["containers"][0]["env"]}
    assert (told["EMOTIVOICE_LANE"], told["EMOTIVOICE_ENGINE"]) == (
        Lane.STANDIN,
        WorkerSettings.model_fields["engine"].default,
    )


def test_whoever_needs_a_gpu_goes_to_the_same_nodes() -> None:
    places = [(spec(pod)["nodeSelector"], spec(pod)["tolerations"]) for pod in (*GPU, "prepare")]
    assert all(each == places[0] for each in places)


def test_the_model_s_folder_is_one_from_the_node_to_the_engine() -> None:
    volume = of_kind(documents(), "PersistentVolume")["emotivoice-model-cache"]["spec"]
    claim = of_kind(documents(), "PersistentVolumeClaim")["model-cache"]
    (prepared,) = spec("prepare")["volumes"]

    assert volume["hostPath"] == {"path": prepared["hostPath"]["path"], "type": "Directory"}
    assert prepared["hostPath"]["type"] == "DirectoryOrCreate"
    assert volume["claimRef"] == {key: claim["metadata"][key] for key in ("namespace", "name")}
    assert claim["spec"]["volumeName"] == "emotivoice-model-cache"
    assert claim["spec"]["storageClassName"] == volume["storageClassName"] == ""
    assert claim["spec"]["accessModes"] == volume["accessModes"] == ["ReadWriteMany"]
    for pod in GPU:
        (pull,), (worker,) = spec(pod)["initContainers"], spec(pod)["containers"]
        assert volumes(pod)["models"]["persistentVolumeClaim"] == {"claimName": "model-cache"}
        assert mounts(worker)["/models"].get("readOnly") is True
        assert "readOnly" not in mounts(pull)["/models"]


def test_the_folder_s_owner_is_who_fetches_the_model() -> None:
    (folder,) = spec("prepare")["initContainers"]
    user = spec("worker-bulk")["securityContext"]

    assert folder["command"] == ["chown", f"{user['runAsUser']}:{user['runAsGroup']}", *mounts(folder)]
    assert folder["image"] == spec("worker-bulk")["containers"][0]["image"]  # which is so fetched before


def test_each_revision_of_the_model_has_a_folder_of_its_own_inside_the_cache() -> None:
    (data,) = (each["data"] for name, each in of_kind(documents(), "ConfigMap").items() if name.startswith("model-"))

    assert data["EMOTIVOICE_MODEL_DIR"].startswith("/models/")
    assert data["MODEL_URL"].rpartition("/")[2] == data["EMOTIVOICE_MODEL_DIR"].rpartition("/")[2]
    pull = spec("worker-bulk")["initContainers"][0]["command"]
    assert pull[3:5] == ["$(MODEL_URL)", "$(EMOTIVOICE_MODEL_DIR)"]


@pytest.mark.parametrize("lane", [Lane.INTERACTIVE, Lane.BULK])
def test_where_jobs_are_spoken_together_workers_at_work_are_counted_in_place_of_messages(lane: Lane) -> None:
    plain = manifest.read(yaml.safe_load((K8S / "keda" / f"scaledobject-worker-{lane}.yaml").read_text()))
    document = of_kind(documents(), "ScaledObject")[f"worker-{lane}"]
    together = manifest.read(document)
    assert plain.modifiers
    assert together.modifiers

    in_hand = re.sub(r"\(?total - ready\)?", "busy", plain.modifiers.formula.text)
    assert together.modifiers.formula.text == in_hand
    assert [each.name for each in together.triggers] == [each.name.replace("ready", "busy") for each in plain.triggers]
    assert (together.limits, together.fallback) == (plain.limits, plain.fallback)
    assert [type(each) for each in together.triggers if isinstance(each, (Age, Busy))] == [Busy, Age]


@pytest.mark.parametrize("lane", [Lane.INTERACTIVE, Lane.BULK])
def test_workers_at_work_are_one_series_of_a_metric_that_a_worker_has(lane: Lane) -> None:
    triggers = of_kind(documents(), "ScaledObject")[f"worker-{lane}"]["spec"]["triggers"]
    (busy,) = (each["metadata"] for each in triggers if each["name"] == "busy")
    (metric,) = metrics.BUSY.describe()

    assert busy["query"] == f'sum({metric.name}{{worker_lane="{lane}"}})'
    assert busy["ignoreNullValues"] == "true"  # no worker is none at work
    assert metric.name == manifest.BUSY_METRIC


def test_lanes_without_batches_count_messages_as_ever() -> None:
    found = of_kind(documents(), "ScaledObject")
    for pod in OTHERS:
        assert "busy" not in found[pod]["spec"]["advanced"]["scalingModifiers"]["formula"]


def test_the_sweeper_alone_may_ask_the_api_server_and_for_pods_only() -> None:
    with_token = [
        (name, container["name"])
        for name, pod in pods(documents()).items()
        for container in containers(pod)
        if str(pod_costs.MOUNTED) in mounts({"volumeMounts": [], **container})
    ]
    role = of_kind(documents(), "Role")["sweeper"]
    binding = of_kind(documents(), "RoleBinding")["sweeper"]

    assert with_token == [("sweeper", "sweeper")]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "patch"]}]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "sweeper", "namespace": "emotivoice"}]
    assert binding["roleRef"]["name"] == "sweeper"
    assert not of_kind(documents(), "ClusterRole", "ClusterRoleBinding")
    assert "serviceAccountToken" not in str([spec(pod) for pod in pods(documents()) if pod != "sweeper"])


def test_what_is_mounted_for_the_sweeper_is_what_it_reads() -> None:
    sources = volumes("sweeper")["token"]["projected"]["sources"]
    paths = [sources[0]["serviceAccountToken"]["path"], sources[1]["configMap"]["items"][0]["path"]]
    paths.append(sources[2]["downwardAPI"]["items"][0]["path"])
    text = inspect.getsource(pod_costs)

    assert sorted(paths) == ["ca.crt", "namespace", "token"]
    assert all(f'"{each}"' in text for each in paths)
    key, _, value = pod_costs.WORKERS.partition("=")
    assert all(pods(documents())[pod]["metadata"]["labels"][key] == value for pod in (*GPU, *OTHERS))


def test_without_the_component_the_sweeper_has_no_token_and_asks_nobody() -> None:
    sweeper = str(pods(composed(resources=["base"]))["sweeper"])
    assert "serviceAccountToken" not in sweeper
    assert "POD_DELETION_COST" not in sweeper

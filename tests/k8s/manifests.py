"""What the tests of the manifests share: kubectl renders them, the schemas judge them."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
K8S = ROOT / "k8s"
SCHEMAS = ROOT.parent / "shared" / "schemas" / "validate.py"  # of Kubernetes and of KEDA, kept beside the repository

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl renders the manifests; it is not here")
needs_schemas = pytest.mark.skipif(not SCHEMAS.exists(), reason="the schemas are kept outside of the repository")


def rendered(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def validated(documents: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return subprocess.run([sys.executable, SCHEMAS, file], capture_output=True, text=True, check=False)


@cache
def overlay(name: str) -> list[dict[str, Any]]:
    """What an overlay renders. Its secrets are those of the example, whatever a user has there."""
    return composed(resources=[f"overlays/{name}"])


def composed(**kustomization: list[str]) -> list[dict[str, Any]]:
    """What an overlay of one's own renders, with folders of k8s/ as `resources` and `components`."""
    with TemporaryDirectory() as folder:
        k8s = Path(folder) / "k8s"
        shutil.copytree(K8S, k8s, ignore=shutil.ignore_patterns("secrets"))
        for example in k8s.glob("overlays/*/secrets.example"):
            example.rename(example.with_name("secrets"))
        (k8s / "own").mkdir()
        named = {kind: [f"../{each}" for each in folders] for kind, folders in kustomization.items()}
        (k8s / "own" / "kustomization.yaml").write_text(yaml.safe_dump(named))
        return rendered(k8s / "own")


def of_kind(documents: Iterable[dict[str, Any]], *kinds: str) -> dict[str, dict[str, Any]]:
    """By name; of two namespaces none may have the same."""
    found = [each for each in documents if each["kind"] in kinds]
    named = {each["metadata"]["name"]: each for each in found}
    assert len(named) == len(found)
    return named


def pods(documents: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod templates, by the name of what makes them, each with its namespace."""
    makers = of_kind(documents, "Deployment", "StatefulSet", "DaemonSet", "Job")
    return {
        name: {**maker["spec"]["template"], "namespace": maker["metadata"].get("namespace", "")}
        for name, maker in makers.items()
    }


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def gib(quantity: str) -> float:
    units = {"Mi": 1 / 1024, "Gi": 1}
    return float(quantity[:-2]) * units[quantity[-2:]]

"""What the tests of the manifests share: kubectl renders them, the schemas judge them."""

import shutil
import subprocess
import sys
from pathlib import Path
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

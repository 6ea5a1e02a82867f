"""The component that switches traces on."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from shared.settings import SharedSettings
from tests.k8s.manifests import K8S, needs_kubectl, needs_schemas, rendered, validated

pytestmark = needs_kubectl


@pytest.fixture
def documents(tmp_path: Path) -> list[dict[str, Any]]:
    """An overlay with the component."""
    named = {"resources": [K8S / "base"], "components": [K8S / "components" / "tracing"]}
    relative = {kind: [os.path.relpath(each, tmp_path) for each in folders] for kind, folders in named.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    return rendered(tmp_path)


def only(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in documents if each["kind"] == kind and each["metadata"]["name"].startswith(name)]
    return found


@needs_schemas
def test_what_is_rendered_is_valid(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    done = validated(documents, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_gateways_and_workers_are_told_a_collector_that_they_may_reach(documents: list[dict[str, Any]]) -> None:
    settings = only(documents, "ConfigMap", "emotivoice")["data"]
    address = SharedSettings(otlp_endpoint=settings["EMOTIVOICE_OTLP_ENDPOINT"]).otlp_endpoint
    policy = only(documents, "NetworkPolicy", "collector")["spec"]
    (opened,) = policy["egress"]

    assert "EMOTIVOICE_S3_BUCKET" in settings  # beside those of the base
    assert [port["port"] for port in opened["ports"]] == [urlsplit(address).port]
    namespace = opened["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert urlsplit(address).hostname == f"collector.{namespace}.svc"
    (chosen,) = policy["podSelector"]["matchExpressions"]
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in documents if each["kind"] == "Deployment"]
    assert {pod[chosen["key"]] for pod in pods} >= set(chosen["values"])

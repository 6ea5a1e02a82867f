"""k8s/logging as it is applied, beside the lines that our processes write.

The settings of Alloy and Loki are read as text: neither program can be had from where the tests get theirs.
"""

import json
import logging
import re
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from shared.ended import audit
from shared.logging import JsonFormatter, job_id, tenant, trace_id
from tests.k8s.manifests import K8S, ROOT, needs_kubectl, needs_schemas, rendered, validated

LOGGING = K8S / "logging"
ALLOY = (LOGGING / "agent" / "config.alloy").read_text()
LOKI: dict[str, Any] = yaml.safe_load((LOGGING / "loki" / "loki.yaml").read_text())
STRUCTURE = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|[{}\[\]()]')  # strings and comments, so that they are passed over


def stage(name: str) -> dict[str, str]:
    """Return the keys and values of a stage's map."""
    (found,) = re.findall(rf"stage\.{name} {{\s*\w+ = {{(.*?)}}", ALLOY, flags=re.DOTALL)
    return dict(re.findall(r'(\w+)\s*=\s*"(.*)"', found))


def line(logger: logging.Logger) -> str:
    """Return what a logger writes about a job."""
    record = logger.makeRecord(logger.name, logging.INFO, __file__, 1, "job ended", (), None)
    context = copy_context()
    for about in (job_id, tenant, trace_id):
        context.run(about.set, "known")
    return context.run(JsonFormatter().format, record)


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return rendered(LOGGING)


def one(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@needs_kubectl
@needs_schemas
def test_what_is_rendered_is_valid(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    done = validated(documents, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_brackets_of_the_agents_settings_are_closed_in_order() -> None:
    closing = {"{": "}", "[": "]", "(": ")"}
    opened: list[str] = []
    for token in STRUCTURE.findall(ALLOY):
        if token in closing:
            opened.append(closing[token])
        elif token in closing.values():
            assert opened, token
            assert opened.pop() == token
    assert not opened


def test_every_component_that_is_named_is_there() -> None:
    there = {f"{kind}.{label}" for kind, label in re.findall(r'^([\w.]+) "(\w+)" {', ALLOY, flags=re.MULTILINE)}
    named = set(re.findall(r"\b((?:discovery|loki)\.[\w.]+)\.(?:receiver|targets|output)\b", ALLOY))

    assert len(there) == 5
    assert named == there - {"loki.source.kubernetes.ours"}  # where lines come from: nothing hands it any


def test_fields_that_the_agent_reads_are_those_that_our_processes_write() -> None:
    written = json.loads(line(logging.getLogger("worker.attempt")))

    assert stage("json").keys() == written.keys() - {"message"}
    assert stage("structured_metadata").keys() - {"pod"} <= stage("json").keys()


def test_what_has_many_values_is_no_label() -> None:
    from_pods = set(re.findall(r'target_label\s*=\s*"(\w+)"', ALLOY))
    (dropped,) = re.findall(r"stage\.label_drop {\s*values = (\[.*?\])", ALLOY)
    labels = (from_pods | stage("labels").keys() | stage("static_labels").keys()) - set(json.loads(dropped))

    assert labels == {"app", "lane", "level", "audit"}
    assert {"job_id", "tenant", "trace_id", "pod"} <= stage("structured_metadata").keys()


def test_a_lines_time_has_the_form_that_the_agent_expects() -> None:
    time = json.loads(line(audit))["time"]

    assert re.search(r'source\s+= "time"\s+format\s+= "RFC3339Nano"', ALLOY)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", time)
    assert datetime.fromisoformat(time).tzinfo


def test_audit_lines_are_told_by_their_logger_and_kept_longer() -> None:
    (wanted,) = re.findall(r"\|= `(.*)`", ALLOY)
    text = wanted.replace(r"\"", '"')
    (longer,) = LOKI["limits_config"]["retention_stream"]

    assert text in line(audit)
    assert text not in line(logging.getLogger("worker.attempt"))
    assert longer["selector"] == '{audit="true"}'
    assert stage("static_labels") == {"audit": "true"}
    assert int(longer["period"].removesuffix("h")) > int(LOKI["limits_config"]["retention_period"].removesuffix("h"))


@needs_kubectl
def test_the_agent_sends_to_the_loki_to_try_out(documents: list[dict[str, Any]]) -> None:
    agent = one(documents, "Deployment", "log-agent")["spec"]["template"]["spec"]
    (container,) = agent["containers"]
    (variable,) = container["env"]
    reference = variable["valueFrom"]["configMapKeyRef"]
    told: str = one(documents, "ConfigMap", reference["name"])["data"][reference["key"]]
    url = urlsplit(told)
    (port,) = one(documents, "Service", "loki")["spec"]["ports"]

    assert f'sys.env("{variable["name"]}")' in ALLOY
    assert (url.hostname, url.port, url.path) == ("loki.emotivoice.svc", port["port"], "/loki/api/v1/push")
    assert port["port"] == LOKI["server"]["http_listen_port"]
    for name in ("log-agent", "loki"):
        policy = json.dumps(one(documents, "NetworkPolicy", name)["spec"])
        assert f'"port": {port["port"]}' in policy


@needs_kubectl
def test_the_agent_may_read_pods_and_logs_of_its_namespace_and_nothing_else(documents: list[dict[str, Any]]) -> None:
    rules = one(documents, "Role", "log-agent")["rules"]

    assert {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]} == {
        ("pods", "get"),
        ("pods", "list"),
        ("pods", "watch"),
        ("pods/log", "get"),
    }
    assert not [each for each in documents if each["kind"].startswith("Cluster")]
    assert "own_namespace = true" in ALLOY


@needs_kubectl
@pytest.mark.parametrize(("kind", "name"), [("Deployment", "log-agent"), ("StatefulSet", "loki")])
def test_pods_meet_the_restricted_standard(documents: list[dict[str, Any]], kind: str, name: str) -> None:
    pod = one(documents, kind, name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    assert re.search(r":v?\d+\.\d+\.\d+$", container["image"])


def test_questions_in_the_docs_ask_for_what_is_there() -> None:
    documented = (ROOT / "docs" / "logs.md").read_text()
    questions = [each.replace(r"\|", "|") for each in re.findall(r"\| `(.*\{.*)` \|\n", documented)]
    labels = {"app", "lane", "level", "audit"}

    assert len(questions) == 7
    for question in questions:
        (selector,) = re.findall(r"{(.*?)}", question)
        assert set(re.findall(r'(\w+)=~?"', selector)) <= labels
        beside = re.findall(r'\| (\w+)="', question.partition("| json")[0])
        assert set(beside) <= stage("structured_metadata").keys()

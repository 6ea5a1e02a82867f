"""k8s/canary as it is applied, beside the code that it names. What Flagger and KEDA do with it is not tested here."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from fastapi.routing import APIRoute

from gateway.routes.jobs import router
from gateway.settings import GatewaySettings
from shared.job_request import JobRequest
from tests.k8s.manifests import K8S, ROOT, needs_kubectl, needs_schemas, rendered, validated
from tests.monitoring.monitoring import exported, needs_promtool

CANARY = K8S / "canary"
NAMESPACE = "emotivoice"
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="smoke.sh calls curl; it is not here")


def manifest(name: str) -> dict[str, Any]:
    return yaml.safe_load((CANARY / f"{name}.yaml").read_text())


def analysis() -> dict[str, Any]:
    return manifest("canary-gateway")["spec"]["analysis"]


def query(template: str, *, interval: str) -> str:
    """Return a template's query as Flagger fills it in."""
    text = manifest(f"metrictemplate-{template}")["spec"]["query"]
    for name, value in {"namespace": NAMESPACE, "target": "gateway", "interval": interval}.items():
        text = text.replace(f"{{{{ {name} }}}}", value)
    assert "{{" not in text
    return text


def composed(folder: Path, *, resources: list[Path], component: str) -> list[dict[str, Any]]:
    """Return what an overlay with one of our components makes of some resources."""
    named = {"resources": resources, "components": [CANARY / component]}
    relative = {kind: [os.path.relpath(each, folder) for each in folders] for kind, folders in named.items()}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    return rendered(folder)


def assert_known(text: str) -> None:
    known = {name: labels for metric in exported().values() for name, labels in metric.series.items()}
    series = re.findall(r"(emotivoice_\w+){(.*?)}", text, flags=re.DOTALL)

    assert series
    for name, labels in series:
        assert set(re.findall(r"(\w+)(?:=~|!=|=)\"", labels)) <= {*known[name], "namespace", "pod"}


def one(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@needs_kubectl
@needs_schemas
def test_what_is_rendered_is_valid(tmp_path: Path) -> None:
    for documents in (
        rendered(CANARY),
        composed(tmp_path, resources=[K8S / "overlays" / "production-gpu"], component="target"),
        composed(tmp_path, resources=[K8S / "overlays" / "production-gpu"], component="green"),
    ):
        done = validated(documents, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_gateway_gets_its_requests_in_steps_of_ten_percent() -> None:
    spec = analysis()

    assert spec["stepWeight"] == 10
    assert spec["maxWeight"] == 50
    assert {each["templateRef"]["name"] for each in spec["metrics"]} == {"gateway-error-rate", "gateway-latency"}


@needs_kubectl
def test_the_canary_is_of_a_deployment_that_is_there_and_of_its_port(tmp_path: Path) -> None:
    spec = manifest("canary-gateway")["spec"]
    documents = composed(tmp_path, resources=[K8S / "base"], component="target")
    deployment = one(documents, spec["targetRef"]["kind"], spec["targetRef"]["name"])
    pod = deployment["spec"]["template"]
    (port,) = pod["spec"]["containers"][0]["ports"]

    assert (port["name"], port["containerPort"]) == (spec["service"]["targetPort"], spec["service"]["port"])
    assert port["containerPort"] == GatewaySettings().gateway_port
    # Flagger takes the first of these labels that the selector has, and gives the primary pods another value of it.
    (by,) = [label for label in ("app", "name") if label in deployment["spec"]["selector"]["matchLabels"]]
    assert pod["metadata"]["labels"][by] == spec["targetRef"]["name"]
    for kind in ("NetworkPolicy", "PodDisruptionBudget"):
        assert f'"{by}"' not in json.dumps([each["spec"] for each in documents if each["kind"] == kind])


@needs_kubectl
def test_no_keda_scaler_has_the_deployment_that_flagger_scales() -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"] for each in rendered(K8S / "keda") if each["kind"] == "ScaledObject"
    }

    assert scaled
    assert manifest("canary-gateway")["spec"]["targetRef"]["name"] not in scaled


@needs_kubectl
@needs_schemas
def test_the_scaler_that_is_to_be_named_with_k8s_hpa_is_the_gateways(tmp_path: Path) -> None:
    (comment,) = re.findall(r"# With k8s/hpa also: (autoscalerRef: .*)", (CANARY / "canary-gateway.yaml").read_text())
    canary = manifest("canary-gateway")
    canary["spec"] |= yaml.safe_load(comment)
    named = canary["spec"]["autoscalerRef"]
    scaler = one(rendered(K8S / "hpa"), named["kind"], named["name"])

    assert scaler["apiVersion"] == named["apiVersion"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == canary["spec"]["targetRef"]["name"]
    assert validated([canary], tmp_path).returncode == 0


@pytest.mark.parametrize("text", [query("gateway-error-rate", interval="2m"), query("gateway-latency", interval="2m")])
def test_queries_name_metrics_and_labels_of_the_gateway(text: str) -> None:
    assert_known(text)


def test_queries_in_the_docs_name_metrics_and_labels_of_the_workers() -> None:
    (documented,) = re.findall(r"```promql\n(.*?)```", (ROOT / "docs" / "canary.md").read_text(), flags=re.DOTALL)

    assert_known(documented)


def test_latency_is_asked_of_the_route_that_submits() -> None:
    (route,) = re.findall(r'route="(.*?)"', query("gateway-latency", interval="2m"))
    routes = [each for each in router.routes if isinstance(each, APIRoute) and each.path == route]

    assert [each.name for each in routes if "POST" in (each.methods or ())] == ["create_job"]
    assert 'method="POST"' in query("gateway-latency", interval="2m")


OLD, NEW = 'namespace="emotivoice",pod="gateway-primary-7d9c-x2x7"', 'namespace="emotivoice",pod="gateway-5f6b-kq2v"'
LONG_POLL = 'method="GET",route="/v1/jobs/{job_id}"'
SUBMIT = 'method="POST",route="/v1/jobs"'
PROBE = 'method="GET",route="/readyz"'


def requests(pod: str, route: str, status: int, per_minute: int) -> tuple[str, str]:
    return f'emotivoice_http_requests_total{{{pod},{route},status="{status}"}}', f"0+{per_minute}x10"


def buckets(pod: str, route: str, counts: dict[str, int]) -> list[tuple[str, str]]:
    name = "emotivoice_http_request_seconds_bucket"
    return [(f'{name}{{{pod},{route},le="{edge}"}}', f"0+{count}x10") for edge, count in counts.items()]


def computed(folder: Path, series: list[tuple[str, str]], *, text: str, value: float) -> None:
    """Assert what a query gives after five minutes of some series."""
    rules = folder / "tests.yaml"
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [{"expr": text, "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": value}]}],
    }
    rules.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("series", "value"),
    [
        ([requests(NEW, SUBMIT, 202, 95), requests(NEW, SUBMIT, 503, 5), requests(OLD, SUBMIT, 500, 90)], 5),
        ([requests(NEW, SUBMIT, 202, 40), requests(NEW, SUBMIT, 422, 60)], 0),
        ([requests(NEW, SUBMIT, 202, 50), requests(NEW, PROBE, 503, 50)], 0),
        ([requests(NEW, LONG_POLL, 200, 50), requests(NEW, LONG_POLL, 500, 50)], 50),
    ],
    ids=["old pods are left out", "clients' faults are none of ours", "probes are left out", "every route counts"],
)
def test_error_rate(tmp_path: Path, series: list[tuple[str, str]], value: float) -> None:
    computed(tmp_path, series, text=query("gateway-error-rate", interval="2m"), value=value)


@needs_promtool
def test_latency_is_that_of_submissions_to_the_new_pods(tmp_path: Path) -> None:
    fast, slow = {"0.01": 100, "0.025": 100, "30": 100, "+Inf": 100}, {"0.01": 0, "0.025": 0, "30": 100, "+Inf": 100}
    series = buckets(NEW, SUBMIT, fast) + buckets(NEW, LONG_POLL, slow) + buckets(OLD, SUBMIT, slow)

    computed(tmp_path, series, text=query("gateway-latency", interval="2m"), value=0.0099)


@needs_kubectl
def test_flagger_reaches_the_tester_and_the_tester_the_new_gateway() -> None:
    documents = rendered(CANARY)
    spec = manifest("canary-gateway")["spec"]
    service = one(documents, "Service", "canary-tester")
    tester = one(documents, "Deployment", "canary-tester")["spec"]["template"]
    (mount,) = [each for each in tester["spec"]["containers"][0]["volumeMounts"] if each["name"] == "tests"]
    target = f"http://{spec['targetRef']['name']}-canary.{NAMESPACE}:{spec['service']['port']}"

    assert service["spec"]["selector"].items() <= tester["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["port"] == 80
    for hook in spec["analysis"]["webhooks"]:
        url: str = hook["url"]
        assert urlsplit(url).hostname == f"{service['metadata']['name']}.{NAMESPACE}"
        assert target in hook["metadata"]["cmd"]
    assert f"{mount['mountPath']}/smoke.sh" in spec["analysis"]["webhooks"][0]["metadata"]["cmd"]
    assert "smoke.sh" in one(documents, "ConfigMap", _name(tester["spec"]["volumes"], "tests"))["data"]


def _name(volumes: list[dict[str, Any]], volume: str) -> str:
    (found,) = [each for each in volumes if each["name"] == volume]
    return found["configMap"]["name"]


def test_the_testers_requests_are_jobs_and_go_on_for_as_long_as_it_looks() -> None:
    spec = analysis()
    command = shlex.split(spec["webhooks"][1]["metadata"]["cmd"])
    options = dict(zip(command[1:-1:2], command[2:-1:2], strict=True))
    looks = spec["maxWeight"] / spec["stepWeight"] + spec["threshold"]

    assert JobRequest.model_validate_json(options["-d"]).text
    assert options["-m"] == "POST"
    assert int(options["-z"].removesuffix("m")) > looks * int(spec["interval"].removesuffix("m"))


@dataclass
class FakeGateway:
    """Answers as a gateway does, with the states of its one job, one for each time that it is asked."""

    states: list[str]
    audio: bytes = b"x" * 2000
    accepts: int = 202
    removed: bool = False
    token: str = "evk_canary"

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        match method, path.partition("?")[0]:
            case "POST", "/v1/jobs":
                return self.accepts, b'{"id":"0123","state":"queued"}'
            case "GET", "/v1/jobs/0123":
                return 200, f'{{"id":"0123","state":"{self.states.pop(0)}"}}'.encode()
            case "GET", "/v1/jobs/0123/audio":
                return 200, self.audio
            case "DELETE", "/v1/jobs/0123":
                self.removed = True
                return 204, b""
            case _:
                return 404, b""


@contextmanager
def serving(gateway: FakeGateway) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known = self.headers["Authorization"] == f"Bearer {gateway.token}"
            status, body = gateway.answer(self.command, self.path) if known else (401, b"")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _handle

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def smoke(gateway: FakeGateway) -> subprocess.CompletedProcess[str]:
    with serving(gateway) as url:
        environment = {**os.environ, "no_proxy": "127.0.0.1", "EMOTIVOICE_TOKEN": gateway.token}
        script = CANARY / "smoke.sh"
        return subprocess.run(["sh", script, url], capture_output=True, text=True, check=False, env=environment)


@needs_curl
def test_a_gateway_whose_job_is_spoken_passes_and_keeps_nothing_of_it() -> None:
    gateway = FakeGateway(["queued", "running", "succeeded"])

    done = smoke(gateway)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "2000 bytes of audio\n"
    assert gateway.removed


@needs_curl
@pytest.mark.parametrize(
    "gateway",
    [
        FakeGateway([], accepts=503),
        FakeGateway(["running", "failed"]),
        FakeGateway(["queued"] * 4),
        FakeGateway(["succeeded"], audio=b""),
    ],
    ids=["refused", "failed", "never spoken", "no audio"],
)
def test_a_gateway_that_gives_no_audio_does_not_pass(gateway: FakeGateway) -> None:
    assert smoke(gateway).returncode != 0


@needs_kubectl
def test_green_is_the_workers_once_more_and_nothing_else(tmp_path: Path) -> None:
    overlay = K8S / "overlays" / "production-gpu"
    blue = {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] == "Deployment"}
    green = composed(tmp_path, resources=[overlay], component="green")
    workers = {each["metadata"]["name"]: each for each in green if each["kind"] == "Deployment"}

    assert {each["kind"] for each in green} == {"Deployment", "ConfigMap"}
    assert workers.keys() == {f"{name}-green" for name in blue if name.startswith("worker-")}
    for name, each in workers.items():
        old = blue[name.removesuffix("-green")]["spec"]
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert "replicas" not in each["spec"]
        assert labels == old["template"]["metadata"]["labels"] | {"release": "green"}
        assert not each["spec"]["selector"]["matchLabels"].items() <= old["template"]["metadata"]["labels"].items()


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    """A kubectl that notes what it is asked, and fails at what is in the file `fails`."""
    fake = tmp_path / "kubectl"
    fake.write_text(
        '#!/bin/sh\nshift 2\necho "$@" >> "$(dirname "$0")/calls"\n'
        'if [ "$1" = get ]; then echo 3; fi\n[ "$1 $2" != "$(cat "$(dirname "$0")/fails")" ]\n'
    )
    fake.chmod(0o755)
    (tmp_path / "fails").touch()
    return tmp_path


def switched(kubectl: Path, *arguments: str) -> list[str]:
    environment = {**os.environ, "PATH": f"{kubectl}:{os.environ['PATH']}"}
    subprocess.run([CANARY / "switch.sh", *arguments], env=environment, capture_output=True, check=False)
    calls = kubectl / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_the_switch_warms_then_moves_the_scaler_then_drains(kubectl: Path) -> None:
    assert switched(kubectl, "bulk", "green") == [
        "get deployment worker-bulk -o jsonpath={.spec.replicas}",
        "scale deployment worker-bulk-green --replicas=3",
        "rollout status deployment worker-bulk-green --timeout=15m",
        'patch scaledobject worker-bulk --type=merge -p {"spec": {"scaleTargetRef": {"name": "worker-bulk-green"}}}',
        "wait hpa/keda-hpa-worker-bulk --for=jsonpath={.spec.scaleTargetRef.name}=worker-bulk-green --timeout=1m",
        "scale deployment worker-bulk --replicas=0",
    ]


def test_the_switch_back_takes_from_green(kubectl: Path) -> None:
    calls = switched(kubectl, "interactive", "blue")

    assert calls[0] == "get deployment worker-interactive-green -o jsonpath={.spec.replicas}"
    assert calls[1] == "scale deployment worker-interactive --replicas=3"
    assert '{"name": "worker-interactive"}' in calls[3]
    assert calls[-1] == "scale deployment worker-interactive-green --replicas=0"


@pytest.mark.parametrize(
    "step", ["get deployment", "rollout status", "patch scaledobject", "wait hpa/keda-hpa-worker-bulk"]
)
def test_a_switch_that_fails_stops_no_worker(kubectl: Path, step: str) -> None:
    (kubectl / "fails").write_text(step)

    assert not [
        call for call in switched(kubectl, "bulk", "green") if call.startswith("scale deployment worker-bulk --")
    ]


def test_only_green_and_blue_are_known(kubectl: Path) -> None:
    assert switched(kubectl, "bulk", "red") == []


@needs_kubectl
def test_the_tester_meets_the_restricted_standard_and_obeys_flagger_only() -> None:
    documents = rendered(CANARY)
    pod = one(documents, "Deployment", "canary-tester")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (ingress,) = one(documents, "NetworkPolicy", "canary-tester")["spec"]["ingress"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert ingress["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "flagger-system"}}}
    ]

"""What the API server is told of busy workers, over TLS as in a cluster."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sweeper.pod_costs import ANNOTATION, Pods, PodsUnreachable, api_server

PATH = "/api/v1/namespaces/speech/pods"


@dataclass
class ApiServer:
    """As much of an API server as is asked: a list of pods, and merge patches of one."""

    folder: Path
    pods: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])  # name -> annotations
    asked: list[str] = field(default_factory=list[str])
    tokens: set[str] = field(default_factory=set[str])
    gone: set[str] = field(default_factory=set[str])
    refuses: bool = False
    url: str = ""

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        path = urlsplit(target)
        self.asked.append(method)
        if self.refuses:
            return 403, {"kind": "Status", "message": "pods is forbidden"}
        if method == "GET":
            assert (path.path, parse_qs(path.query)) == (PATH, {"labelSelector": ["app.kubernetes.io/name=worker"]})
            found = [{"name": name, **({"annotations": told} if told else {})} for name, told in self.pods.items()]
            return 200, {"items": [{"metadata": metadata} for metadata in found]}
        name = path.path.removeprefix(f"{PATH}/")
        if name in self.gone:
            return 404, {"kind": "Status"}
        self.pods[name] |= json.loads(body)["metadata"]["annotations"]
        return 200, {"metadata": {"name": name}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    api = ApiServer(tmp_path)
    certificate(tmp_path)
    (tmp_path / "namespace").write_text("speech\n")
    (tmp_path / "token").write_text("first\n")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.tokens.add(self.headers["Authorization"])
            status, answer = api.answer(
                self.command, self.path, self.rfile.read(int(self.headers["Content-Length"] or 0))
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PATCH(self) -> None:
            assert self.headers["Content-Type"] == "application/merge-patch+json"
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.crt", tmp_path / "key.pem")
    http.socket = context.wrap_socket(http.socket, server_side=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    api.url = f"https://127.0.0.1:{http.server_port}"
    yield api
    http.shutdown()
    http.server_close()


def certificate(folder: Path) -> None:
    """Make the server its own certificate authority."""
    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=api"
    files = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(folder / "ca.crt"),
    ]
    subprocess.run(
        ["openssl", *kind.split(), *files],
        check=True,
        capture_output=True,
    )


def costs(server: ApiServer) -> dict[str, str | None]:
    return {name: told.get(ANNOTATION) for name, told in server.pods.items()}


def test_a_busy_worker_costs_more_until_it_was_idle_for_a_minute(server: ApiServer) -> None:
    server.pods = {"worker-1": {}, "worker-2": {}}
    now = 0.0
    pods = Pods(server.url, server.folder, clock=lambda: now)

    assert pods.spare({"worker-1", "a-worker-elsewhere"}) == 1
    assert costs(server) == {"worker-1": "1000", "worker-2": None}
    now = 59.0
    assert pods.spare({"worker-2"}) == 1
    assert costs(server) == {"worker-1": "1000", "worker-2": "1000"}
    now = 60.0
    assert pods.spare({"worker-2"}) == 1
    assert costs(server) == {"worker-1": "0", "worker-2": "1000"}


def test_a_sweeper_that_takes_over_believes_the_one_before_for_a_minute(server: ApiServer) -> None:
    server.pods = {"worker-1": {ANNOTATION: "1000"}}
    now = 0.0
    pods = Pods(server.url, server.folder, clock=lambda: now)

    assert pods.spare(set()) == 0
    now = 60.0
    assert pods.spare(set()) == 1
    assert costs(server) == {"worker-1": "0"}


def test_who_is_told_right_is_not_told_again(server: ApiServer) -> None:
    server.pods = {"worker-1": {ANNOTATION: "1000"}, "worker-2": {"other": "annotation"}}

    assert Pods(server.url, server.folder).spare({"worker-1"}) == 0
    assert server.asked == ["GET"]


def test_a_pod_that_is_gone_meanwhile_is_no_trouble(server: ApiServer) -> None:
    server.pods, server.gone = {"worker-1": {}, "worker-2": {}}, {"worker-1"}

    Pods(server.url, server.folder).spare({"worker-1", "worker-2"})

    assert costs(server) == {"worker-1": None, "worker-2": "1000"}


def test_a_token_that_was_renewed_is_used(server: ApiServer) -> None:
    pods = Pods(server.url, server.folder)
    pods.spare(set())
    (server.folder / "token").write_text("second\n")
    pods.spare(set())

    assert server.tokens == {"Bearer first", "Bearer second"}


def test_a_refusal_is_one_error_with_its_reason(server: ApiServer) -> None:
    server.refuses = True

    with pytest.raises(PodsUnreachable, match="403"):
        Pods(server.url, server.folder).spare(set())


def test_the_api_server_s_certificate_is_checked(server: ApiServer, tmp_path: Path) -> None:
    pods = Pods(server.url.replace("127.0.0.1", "localhost"), server.folder)

    with pytest.raises(PodsUnreachable, match=r"(?i)certificate"):
        pods.spare(set())


def test_the_api_server_is_where_kubernetes_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert api_server() == "https://[fd00::1]:6443"

    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(PodsUnreachable, match="this is no pod"):
        api_server()

"""A collector of traces: what arrives by OTLP over HTTP, decoded."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cli.stack.probes import LOOPBACK, free_ports
from tests.waiting import wait_for

KINDS = ("", "internal", "server", "client", "producer", "consumer")
ERROR = 2


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it arrived."""

    name: str
    kind: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str  # empty: it began the trace
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool
    said: str  # all else that a span may carry: events, and a status message


class Collector:
    """Listens while the context is open, and again at the same address when it is opened again."""

    def __init__(self) -> None:
        (self._port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{self._port}"
        self.spans: list[CollectedSpan] = []
        self.paths: set[str] = set()

    def trace(self, trace_id: str, *, until: Callable[[list[CollectedSpan]], object]) -> list[CollectedSpan]:
        """Return the spans of a trace, once there are those that the test waits for."""

        def complete() -> list[CollectedSpan]:
            found = [span for span in self.spans if span.trace_id == trace_id]
            return found if until(found) else []

        return wait_for(complete)

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        request: Any = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            self.spans += [_collected(span, service) for scope in resource.scope_spans for span in scope.spans]

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, self._port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _collected(span: Any, service: str) -> CollectedSpan:
    kind: int = span.kind
    return CollectedSpan(
        name=span.name,
        kind=KINDS[kind],
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.trace_id.hex() for link in span.links),
        attributes=_attributes(span.attributes),
        failed=span.status.code == ERROR,
        said=f"{list(span.events)}{span.status.message}",
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}

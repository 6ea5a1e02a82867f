"""Spans of requests: FastAPI makes them, these are its settings. docs/tracing.md."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import tracing
from shared.logging import trace_id

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, by nobody who waits
TRACE_ID = slice(3, 35)  # of a traceparent


def spans() -> TelemetryConfig:
    """One span a request, where traces are on, and nothing else of what FastAPI could tell."""
    provider = tracing.provider()
    return {
        "tracing": provider is not None,
        "tracer_provider": provider,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
        "exclude": _untraced,
    }


def _untraced(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in UNTRACED


class NamesTrace:
    """Puts the trace of a request into its log lines and, for whoever wants to look it up, into its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        traceparent = tracing.current().traceparent
        if scope["type"] != "http" or not traceparent:
            await self._app(scope, receive, send)
            return

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["traceresponse"] = traceparent
            await send(message)

        trace_id.set(traceparent[TRACE_ID])
        await self._app(scope, receive, named)

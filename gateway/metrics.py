"""What the gateway measures."""

import time
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.jobs import Lane
from shared.ports import LaneLoad

REQUESTS = Counter("emotivoice_http_requests_total", "HTTP requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "emotivoice_http_request_seconds",
    "Time to answer; waiting for a job and sending its audio count too",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
STAND_IN = Counter("emotivoice_stand_in_jobs_total", "Jobs accepted for the stand-in engine", ["tenant"])
LISTENERS = Gauge("emotivoice_listeners", "Requests that hear a job while it is spoken")
FIRST_AUDIO_SECONDS = Histogram(
    "emotivoice_first_audio_seconds",
    "From such a request until its first audio",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60),
)
WAITING = Gauge("emotivoice_lane_waiting", "Messages that no worker has started", ["lane"])
OLDEST_WAITING = Gauge("emotivoice_lane_oldest_waiting_seconds", "Age of the message that waits longest", ["lane"])
WARM_WORKERS = Gauge("emotivoice_lane_warm_workers", "Workers that take messages", ["lane"])
STREAMS_OPEN = Gauge("emotivoice_streams_open", "Streams of text that are open")
STREAMS_ENDED = Counter("emotivoice_streams_total", "Streams of text that have ended", ["ending"])
STREAM_FIRST_AUDIO = Histogram(
    "emotivoice_stream_first_audio_seconds",
    "From the first whole sentence of a stream to its first audio",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30),
)


def show_loads(loads: Mapping[Lane, LaneLoad]) -> None:
    for lane, load in loads.items():
        WAITING.labels(lane).set(load.waiting)
        OLDEST_WAITING.labels(lane).set(load.oldest_seconds)
        WARM_WORKERS.labels(lane).set(load.warm_workers)


def forget_loads() -> None:
    """Show no load rather than an old one."""
    WAITING.clear()
    OLDEST_WAITING.clear()
    WARM_WORKERS.clear()


class RequestMetrics:
    """Counts and times each request under its route's template, so that job ids make no series."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUESTS.labels(scope["method"], route, status).inc()
            REQUEST_SECONDS.labels(scope["method"], route).observe(time.perf_counter() - started)

"""Text as it is written, into audio as it is spoken, over a WebSocket. docs/streaming.md."""

import asyncio
import logging
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import cast
from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from gateway.auth.caller import Caller
from gateway.dependencies import Services
from gateway.errors import STATUS_OF, job_problem
from gateway.metrics import STREAMS_ENDED, STREAMS_OPEN
from gateway.stream_messages import trouble
from gateway.stream_session import ClientGone, Session
from shared.access import Scope
from shared.errors import ForeignOrigin, JobError, TooManyStreams

log = logging.getLogger(__name__)

router = APIRouter()

SUBPROTOCOL = "emotivoice.v1"  # for browsers: they send a token as another one, and want to see one taken
CLOSING_SECONDS = 5.0
NORMAL, APPLICATION = 1000, 4000  # close codes; of a failure: 4000 and its HTTP status


class OpenStreams:
    """How many streams each tenant has open at this gateway."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = Counter[str]()

    @contextmanager
    def one_more(self, tenant: str) -> Generator[None]:
        """Count one within the context.

        Raises:
            TooManyStreams: there are as many as there may be.
        """
        if self._open[tenant] >= self._most:
            raise TooManyStreams(limit=self._most)
        self._open[tenant] += 1
        STREAMS_OPEN.inc()
        try:
            yield
        finally:
            STREAMS_OPEN.dec()
            self._open[tenant] -= 1
            if not self._open[tenant]:
                del self._open[tenant]


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """Speak what the client writes, until it ends. What is wrong before it begins has a status of HTTP."""
    services, caller = cast(Services, socket.app.state.services), cast(Caller, socket.state.caller)
    streams = cast(OpenStreams, socket.app.state.streams)
    try:
        caller.check(Scope.SPEECH_WRITE)
        _check_origin(socket, services.settings.cors_origins.split())
        with streams.one_more(caller.tenant):
            await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
            ending = await _spoken(socket, Session(socket, services, tenant=caller.tenant))
    except JobError as error:
        await socket.send_denial_response(job_problem(error))
        return
    STREAMS_ENDED.labels(ending).inc()
    log.info("a stream has ended", extra={"ending": ending})


async def _spoken(socket: WebSocket, session: Session) -> str:
    """Return how it ended, when the client knows."""
    try:
        await session.run()
    except ClientGone:
        return "client_gone"
    except JobError as error:
        await _close(socket, APPLICATION + STATUS_OF[error.code], error.code, last=trouble("error", error))
        return error.code
    await _close(socket, NORMAL)
    return "done"


async def _close(socket: WebSocket, code: int, reason: str = "", *, last: str = "") -> None:
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it went meanwhile, or takes nothing any more
        async with asyncio.timeout(CLOSING_SECONDS):
            if last:
                await socket.send_text(last)
            await socket.close(code, reason)


def _check_origin(socket: WebSocket, allowed: list[str]) -> None:
    """Refuse a page that may not use the API: browsers ask nobody before they open a WebSocket."""
    origin = socket.headers.get("origin")
    mine = origin is None or urlsplit(origin).netloc == socket.headers.get("host")
    if not (mine or "*" in allowed or origin in allowed):
        raise ForeignOrigin

"""Refuse a request body that is bigger than any valid one, or that comes too slowly, without reading it whole."""

import asyncio
import re
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import job_problem
from shared.errors import BodyTooLarge, BodyTooSlow, JobError

BYTES_PER_SECOND = 64 * 1024  # who sends as fast as this has as long as it takes, besides the usual seconds


class BodyLimit:
    """Answers 413 by the declared length, or as soon as an undeclared one runs over; 408 to who does not send.

    A route that takes more than the others stands in `larger`: a pattern for the whole path, and its bytes.
    """

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds
        self._larger = [(re.compile(path), limit) for path, limit in (larger or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((most for path, most in self._larger if path.fullmatch(scope["path"])), self._limit)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await job_problem(BodyTooLarge(limit=limit))(scope, receive, send)
            return
        body = _Body(receive, limit=limit, seconds=self._seconds)
        answered = False

        async def unless_refused(message: Message) -> None:
            nonlocal answered
            if answered or not body.refusal:
                answered = True
                await send(message)

        await self._app(scope, body.receive, unless_refused)
        if body.refusal and not answered:  # the application has answered that it could not read the body; this says why
            await job_problem(body.refusal)(scope, receive, send)


class _Body:
    """A request's body as it comes in."""

    def __init__(self, receive: Receive, *, limit: int, seconds: float) -> None:
        self.refusal: JobError | None = None
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._began = 0.0
        self._received = 0
        self._complete = False

    async def receive(self) -> Message:
        """Return the next part, or raise why there will be none. After the last one, wait for the client to go."""
        if self._complete:
            return await self._receive()
        message = await self._in_time()
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body")
        if self._received > self._limit:
            raise self._refused(BodyTooLarge(limit=self._limit))
        return message

    async def _in_time(self) -> Message:
        now = asyncio.get_running_loop().time()
        self._began = self._began or now
        try:
            async with asyncio.timeout_at(self._began + self._seconds + self._received / BYTES_PER_SECOND):
                return await self._receive()
        except TimeoutError:
            raise self._refused(BodyTooSlow(seconds=self._seconds)) from None

    def _refused(self, why: JobError) -> JobError:
        self.refusal = why
        return why

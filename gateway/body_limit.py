"""Refuse a request body that is bigger than any valid one, without reading it whole."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import job_problem
from shared.errors import BodyTooLarge


class BodyLimit:
    """Answers 413 by the declared length, or as soon as an undeclared one runs over."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            await job_problem(BodyTooLarge(limit=self._limit))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise BodyTooLarge(limit=self._limit)
            return message

        async def unless_refused(message: Message) -> None:
            if received <= self._limit:
                await send(message)

        await self._app(scope, counted, unless_refused)
        if received > self._limit:  # the application has answered that it could not read the body; this says why
            await job_problem(BodyTooLarge(limit=self._limit))(scope, receive, send)

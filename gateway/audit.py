"""Who changed what: a line in the log for every change. That of a job comes when it ends (shared/ended.py)."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth.caller import Caller

audit = logging.getLogger("emotivoice.audit")

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
_JOBS = frozenset({"/v1/jobs", "/v1/audio/speech"})


class Audit:
    """Writes the line once the answer is out. What was refused has changed nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _LOOKS or scope["path"] in _JOBS:
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, noted)
        if status < 300:
            caller: Caller = scope["state"]["caller"]
            facts = {"method": scope["method"], "path": scope["path"], "status": status, "key": caller.key}
            audit.info("changed", extra=facts)

"""Nobody comes past it unknown: every path needs a caller, but for a few that anybody may see."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.callers import Callers
from gateway.errors import job_problem
from shared import logging
from shared.errors import JobError

# What supervisors and Prometheus ask, and how the API is described. docs/security.md.
PUBLIC = frozenset({"/healthz", "/readyz", "/metrics", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})


class Guard:
    """Looks for the caller before anything of the request's body is read. What it may do, each route asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in PUBLIC:
            await self._app(scope, receive, send)
            return
        callers: Callers = scope["app"].state.services.callers
        try:
            caller = await callers.of(Headers(scope=scope))
        except JobError as error:
            await job_problem(error)(scope, receive, send)
            return
        logging.tenant.set(caller.tenant)
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

"""Nobody comes past it unknown: every path needs a caller, but for a few that anybody may see."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.caller import Caller
from gateway.auth.callers import Callers
from gateway.errors import job_problem
from shared import logging
from shared.errors import JobError
from shared.jobs import NO_TENANT

# What supervisors and Prometheus ask, and how the API is described. docs/security.md.
PUBLIC = frozenset({"/healthz", "/readyz", "/metrics", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})
# What clients of OpenAI's API list before they have a key; for anybody where so set.
LISTS = frozenset({"/v1/models", "/v1/audio/models", "/v1/audio/voices"})


class Guard:
    """Looks for the caller before anything of the request's body is read. What it may do, each route asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in PUBLIC:
            await self._app(scope, receive, send)
            return
        services = scope["app"].state.services
        callers: Callers = services.callers
        try:
            caller = await callers.of(Headers(scope=scope))
        except JobError as error:
            if not (scope["path"] in LISTS and services.settings.public_voices):
                await job_problem(error)(scope, receive, send)
                return
            caller = Caller(NO_TENANT, frozenset())  # may do nothing but look at these
        logging.tenant.set(caller.tenant)
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

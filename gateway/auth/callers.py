"""Who sent a request, by its headers and the settings."""

import re

from starlette.datastructures import Headers

from gateway.auth.caller import Caller
from gateway.auth.keys import KeyCallers
from gateway.auth.tokens import TokenCallers
from gateway.settings import GatewaySettings
from shared.access import Scope, is_tenant
from shared.api_keys import PREFIX, AsyncApiKeys
from shared.errors import InvalidTenant, Unauthorized
from shared.jobs import NO_TENANT

MOST_CHARACTERS = 8192  # of a token; with all its claims one has about a thousand
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE | re.ASCII)  # RFC 6750, 2.1
AS_SUBPROTOCOL = "bearer."  # and the token, whose characters are all allowed there
EVERYTHING = frozenset(Scope)


class Callers:
    """Knows callers by token, by API key, or by what a proxy in front tells."""

    def __init__(self, settings: GatewaySettings, api_keys: AsyncApiKeys) -> None:
        self._on = settings.auth
        self._header = settings.tenant_header
        self._tokens = TokenCallers(settings) if settings.jwt_secret or settings.jwks_url else None
        self._keys = KeyCallers(api_keys) if settings.api_keys else None

    async def of(self, headers: Headers) -> Caller:
        """Return who sent a request with these headers.

        Raises:
            Unauthorized, AuthUnavailable, StoreUnavailable: it can't be told, or not now.
            InvalidTenant: what the proxy tells is no name.
        """
        if not self._on:
            return self._told(headers)
        token = _of_browser(headers) or _bearer(headers)
        known = self._keys if token.startswith(PREFIX) else self._tokens
        if known is None:
            raise Unauthorized("API keys are not accepted here" if self._tokens else "only API keys are accepted here")
        return await known.of(token)

    def _told(self, headers: Headers) -> Caller:
        """Return a caller who may do everything; where a proxy tells tenants apart, within one tenant."""
        if not self._header:
            return Caller(NO_TENANT, EVERYTHING)
        names = headers.getlist(self._header) or [NO_TENANT]
        if len(names) > 1 or not is_tenant(names[0]):  # of two one may be the client's own
            raise InvalidTenant(self._header)
        return Caller(names[0], EVERYTHING - {Scope.ADMIN})


def _of_browser(headers: Headers) -> str:
    """Return the token that comes as a subprotocol: a page can give a WebSocket no other header."""
    if "sec-websocket-key" not in headers or "authorization" in headers:
        return ""
    offered = [one.strip() for header in headers.getlist("sec-websocket-protocol") for one in header.split(",")]
    tokens = [one.removeprefix(AS_SUBPROTOCOL) for one in offered if one.startswith(AS_SUBPROTOCOL)]
    return tokens[0] if len(tokens) == 1 and len(tokens[0]) <= MOST_CHARACTERS else ""


def _bearer(headers: Headers) -> str:
    given = headers.getlist("authorization")
    if not given:
        raise Unauthorized("send a token or an API key, as Authorization: Bearer ...", error="")
    if len(given) > 1:
        raise Unauthorized("there are several Authorization headers", error="invalid_request")
    if len(given[0]) > MOST_CHARACTERS:
        raise Unauthorized(f"the token is longer than {MOST_CHARACTERS} characters")
    match = _BEARER.fullmatch(given[0])
    if not match:
        raise Unauthorized("the Authorization header is not of the form Bearer TOKEN", error="invalid_request")
    return match[1]

"""Callers by JSON Web Tokens (RFC 7519). Which algorithms count follows from the settings, never from the token."""

from collections.abc import Mapping
from typing import Any, cast

import jwt

from gateway.auth.caller import Caller, known_scopes
from gateway.auth.issuer_keys import ALGORITHMS, IssuerKeys
from gateway.settings import GatewaySettings
from shared.access import TENANT_RULE, is_tenant
from shared.errors import Unauthorized

LEEWAY_SECONDS = 30  # by which the issuer's clock may differ from ours

# The first that fits. A sentence says what to look at, and repeats nothing of the token.
_WHY: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidIssuerError, "the token is from another issuer"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidAlgorithmError, "the token is signed by an algorithm that is not accepted here"),
    (jwt.InvalidSignatureError, "the token's signature is wrong"),
)


class TokenCallers:
    """Checks tokens by a shared secret or by the issuer's public keys."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._secret = settings.jwt_secret.get_secret_value()
        self._keys = IssuerKeys(settings.jwks_url)
        self._issuer = settings.jwt_issuer or None
        self._audience = settings.jwt_audience or None
        self._tenant_claim = settings.jwt_tenant_claim

    async def of(self, token: str) -> Caller:
        """Return for whom the token speaks.

        Raises:
            Unauthorized: it is not to be believed.
            AuthUnavailable: nobody can tell yet.
        """
        try:
            claims = await self._claims(token)
        except jwt.MissingRequiredClaimError as error:  # named by the settings, not by the token
            raise Unauthorized(f"the token lacks the claim {error.claim}") from error
        except jwt.PyJWTError as error:
            why = next((why for kind, why in _WHY if isinstance(error, kind)), "the token can't be read")
            raise Unauthorized(why) from error
        tenant = claims[self._tenant_claim]
        if not isinstance(tenant, str) or not is_tenant(tenant):
            raise Unauthorized(f"the token's claim {self._tenant_claim} is no tenant's name: {TENANT_RULE}")
        return Caller(tenant, known_scopes(_granted(claims)))

    async def _claims(self, token: str) -> Mapping[str, Any]:
        algorithms, key = (["HS256"], self._secret) if self._secret else await self._key(token)
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": self._required()},
        )

    async def _key(self, token: str) -> tuple[list[str], jwt.PyJWK]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        if not header.get("kid"):
            raise Unauthorized("the token does not name its key (kid)")
        key = await self._keys.key(header["kid"])
        if key is None:
            raise Unauthorized("the token's key is not one of the issuer's")
        return [key.algorithm_name], key

    def _required(self) -> list[str]:
        expected = {"iss": self._issuer, "aud": self._audience}
        return ["exp", self._tenant_claim, *(claim for claim, value in expected.items() if value)]


def _granted(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes as issuers write them: `scope` (RFC 8693) or `scp`, one text or a list."""
    granted = claims.get("scope", claims.get("scp", ""))
    if isinstance(granted, str):
        return granted.split()
    return [str(one) for one in cast(list[Any], granted)] if isinstance(granted, list) else []

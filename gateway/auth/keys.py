"""Callers by their API keys."""

import time

from gateway.auth.caller import Caller
from shared.api_keys import ApiKey, AsyncApiKeys, digest_of, is_api_key
from shared.errors import Unauthorized

KEPT_SECONDS = 5.0  # so long a revoked key may still be taken
NOTED_SECONDS = 600.0  # between two notes of a key's use: a write for each request would cost more than it tells


class KeyCallers:
    """Looks keys up by their hashes, whose timing tells nothing, and keeps what it found for a few seconds."""

    def __init__(self, keys: AsyncApiKeys) -> None:
        self._keys = keys
        self._kept: dict[str, tuple[ApiKey, float]] = {}  # by SHA-256, with the moment until when; known keys only
        self._noted: dict[str, float] = {}  # by id

    async def of(self, key: str) -> Caller:
        """Return whose key that is.

        Raises:
            Unauthorized: it is nobody's, or no longer.
            StoreUnavailable: Redis does not answer.
        """
        found = await self._found(digest_of(key)) if is_api_key(key) else None
        if found is None:
            raise Unauthorized("the API key is not known, or was revoked")
        now = time.time()
        if found.expired(now=now):
            raise Unauthorized("the API key has expired")
        if now - self._noted.get(found.id, 0) > NOTED_SECONDS:
            self._noted[found.id] = now
            await self._keys.used(found.id, at=now)
        return Caller(found.tenant, frozenset(found.scopes), key=found.id)

    async def _found(self, digest: str) -> ApiKey | None:
        found, until = self._kept.get(digest, (None, 0.0))
        if time.monotonic() < until:
            return found
        found = await self._keys.find(digest)
        if found:
            self._kept[digest] = (found, time.monotonic() + KEPT_SECONDS)
        else:
            self._kept.pop(digest, None)
        return found

"""API keys, for clients that can only send a fixed bearer token. Redis has their SHA-256, never the keys.

A key is 32 random bytes, so a plain hash is enough: nobody can try them all, or find one by its hash.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from shared.access import Scope
from shared.redis_clients import hasty_client, translated

PREFIX = "evk_"  # so that a key can be told from a token, and found by who scans for leaked secrets
KEYS = "api_keys"  # SHA-256 of a key -> its record
USED = "api_keys:used"  # id of a key -> when it was last used, as far as was noted
_KEY = re.compile(PREFIX + "[A-Za-z0-9_-]{43}")  # 32 bytes in URL-safe base64


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key, but for the key itself."""

    id: str
    tenant: str
    scopes: tuple[Scope, ...]
    created_at: float  # Unix seconds, as all times here
    expires_at: float | None = None
    note: str = ""

    def expired(self, *, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at


class AsyncApiKeys(Protocol):
    """What the gateway asks."""

    async def find(self, digest: str) -> ApiKey | None:
        """Return the key whose SHA-256 that is."""
        ...

    async def used(self, key_id: str, *, at: float) -> None: ...


def is_api_key(token: str) -> bool:
    return _KEY.fullmatch(token) is not None


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(
    tenant: str, scopes: Iterable[Scope], *, now: float, keep_seconds: float | None = None, note: str = ""
) -> tuple[str, ApiKey]:
    """Return a new key, which is told this once, and its record."""
    expires_at = None if keep_seconds is None else now + keep_seconds
    record = ApiKey(secrets.token_hex(6), tenant, tuple(scopes), now, expires_at, note)
    return PREFIX + secrets.token_urlsafe(32), record


class RedisApiKeys:
    """The keys in Redis, for the gateway and for `emotivoice keys`."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)

    async def find(self, digest: str) -> ApiKey | None:
        with translated():
            raw = await self._redis.hget(KEYS, digest)
        return _load(raw) if raw else None

    async def used(self, key_id: str, *, at: float) -> None:
        with translated():
            await self._redis.hset(USED, key_id, str(int(at)))

    async def add(self, key: str, record: ApiKey) -> None:
        with translated():
            await self._redis.hset(KEYS, digest_of(key), json.dumps(asdict(record), ensure_ascii=False))

    async def all(self) -> list[tuple[ApiKey, float | None]]:
        """Return every key, the oldest first, and when it was last used."""
        with translated():
            records, used = await self._redis.hvals(KEYS), await self._redis.hgetall(USED)
        keys = sorted((_load(raw) for raw in records), key=lambda key: key.created_at)
        return [(key, float(used[key.id]) if key.id in used else None) for key in keys]

    async def revoke(self, key_id: str) -> bool:
        """Forget a key; whether there was one of that id."""
        with translated():
            records: dict[str, str] = await self._redis.hgetall(KEYS)
            digests = [digest for digest, raw in records.items() if _load(raw).id == key_id]
            gone = bool(digests and await self._redis.hdel(KEYS, *digests))
            await self._redis.hdel(USED, key_id)
        return gone

    async def close(self) -> None:
        await self._redis.aclose()


def _load(raw: str) -> ApiKey:
    fields: dict[str, Any] = json.loads(raw)
    fields["scopes"] = tuple(Scope(scope) for scope in fields["scopes"])
    return ApiKey(**fields)

"""What is kept of tenants themselves: their own limits and their token buckets."""

import json
from collections.abc import Mapping
from typing import Any

from shared import records
from shared.changes import script
from shared.jobs import JobState
from shared.limits import Taken
from shared.redis_clients import hasty_client, translated

TENANTS = "tenants"  # tenant -> its own limits


class RedisTenants:
    """For the gateway and for `emotivoice tenants`."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)
        self._bucket = self._redis.register_script(script("bucket"))

    async def own(self, tenant: str) -> dict[str, float]:
        with translated():
            raw = await self._redis.hget(TENANTS, tenant)
        return json.loads(raw) if raw else {}

    async def take(self, tenant: str, *, rate: float, burst: int) -> Taken:
        with translated():
            granted, left, wait, full = await self._bucket(keys=[records.bucket_key(tenant)], args=[1 / rate, burst])
        return Taken(granted == 1, left, wait / 1000, full / 1000)

    async def next_expiry(self, tenant: str) -> float | None:
        with translated():
            oldest = await self._redis.zrange(records.state_key(tenant, JobState.SUCCEEDED), 0, 0)
            return await self._redis.zscore(records.EXPIRING, oldest[0]) if oldest else None

    async def all(self) -> dict[str, dict[str, float]]:
        """Return every tenant that has limits of its own, by name."""
        with translated():
            stored: dict[str, str] = await self._redis.hgetall(TENANTS)
        return {tenant: json.loads(stored[tenant]) for tenant in sorted(stored)}

    async def set(self, tenant: str, own: Mapping[str, float]) -> None:
        with translated():
            await self._redis.hset(TENANTS, tenant, json.dumps(own))

    async def reset(self, tenant: str) -> bool:
        """Let the usual limits be the tenant's; whether it had others."""
        with translated():
            return bool(await self._redis.hdel(TENANTS, tenant))

    async def close(self) -> None:
        await self._redis.aclose()

"""Tenants' usage as Redis has it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from shared.redis_clients import hasty_client, translated
from shared.usage import Counted, load_counted, tenants_key, usage_key


class RedisUsage:
    """Reads what the workers' commits count."""

    def __init__(self, url: str) -> None:
        self._redis: Any = hasty_client(url)

    async def counted(self, days: Sequence[date], *, tenant: str) -> list[Counted]:
        with translated():
            pairs = [(day, tenant) for day in days] if tenant else await self._all_tenants(days)
            async with self._redis.pipeline(transaction=False) as pipeline:
                for day, name in pairs:
                    pipeline.hgetall(usage_key(day, name))
                replies: list[dict[str, str]] = await pipeline.execute()
        return [
            counted
            for (day, name), fields in zip(pairs, replies, strict=True)
            for counted in load_counted(day, name, fields)
        ]

    async def _all_tenants(self, days: Sequence[date]) -> list[tuple[date, str]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for day in days:
                pipeline.smembers(tenants_key(day))
            found: list[set[str]] = await pipeline.execute()
        return [(day, name) for day, names in zip(days, found, strict=True) for name in sorted(names)]

    async def close(self) -> None:
        await self._redis.aclose()

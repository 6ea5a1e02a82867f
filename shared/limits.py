"""What may be limited for a tenant, and its limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Protocol


class Quota(StrEnum):
    """What may be limited, as settings, commands and answers name it."""

    REQUESTS = "requests_per_second"
    CHARACTERS = "characters_per_day"
    AUDIO = "audio_seconds_per_day"
    JOBS = "concurrent_jobs"
    STORAGE = "stored_bytes"
    LINES = "open_lines"


@dataclass(frozen=True)
class Limits:
    """A tenant's limits; 0 is none."""

    requests_per_second: float = 0
    characters_per_day: int = 0
    audio_seconds_per_day: float = 0
    concurrent_jobs: int = 0
    stored_bytes: int = 0
    open_lines: int = 0

    def of(self, quota: Quota) -> float:
        return getattr(self, quota)

    def but(self, own: Mapping[str, float]) -> "Limits":
        """Return these with a tenant's own in place of some."""
        return replace(self, **{each.name: own[each.name] for each in fields(self) if each.name in own})


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Taken:
    """What came of a request's token."""

    granted: bool
    left: int  # that may come at once
    wait_seconds: float  # until one may come
    full_seconds: float  # until as many as ever may come at once


class AsyncTenants(Protocol):
    """What the gateway asks of the tenants' own limits, and of their token buckets."""

    async def own(self, tenant: str) -> dict[str, float]:
        """Return the limits that were set for the tenant itself."""
        ...

    async def take(self, tenant: str, *, rate: float, burst: int) -> Taken:
        """Take a token of the tenant's bucket, which gets `rate` a second and holds `burst`."""
        ...

    async def next_expiry(self, tenant: str) -> float | None:
        """Return when the tenant's oldest audio goes by itself."""
        ...


def burst_of(rate: float) -> int:
    """Return how many requests may come at once: those of a second."""
    return max(1, math.ceil(rate))

"""What tenants have used, by day and engine: counted with the commit that finishes a segment, so exactly once.

Times are counted in whole microseconds: a sum of floats would depend on the order in which they came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from shared.jobs import Usage

USAGE_DAYS = 400  # kept: a year, and the month that it is looked at in
MEASURES = ("segments", "characters", "audio_us", "engine_us", "bytes")
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Counted:
    """What one tenant used of one engine on one day, in whole units."""

    day: date
    tenant: str
    engine: str
    amounts: dict[str, int]  # by MEASURES


class AsyncUsage(Protocol):
    """What the gateway asks."""

    async def counted(self, days: Sequence[date], *, tenant: str) -> list[Counted]:
        """Return what was counted on these days, of one tenant, or of all if the name is empty."""
        ...


def day_of(now: float) -> date:
    """Days are those of UTC."""
    return datetime.fromtimestamp(now, UTC).date()


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def tenants_key(day: date) -> str:
    return f"usage:{day}"


def usage_key(day: date, tenant: str) -> str:
    return f"usage:{day}:{tenant}"


def usage_commands(usage: Usage, *, tenant: str, now: float, days: int) -> list[list[str]]:
    """Return the commands that count a segment which is finished now."""
    day, seconds = day_of(now), str((days + 1) * DAY_SECONDS)
    key = usage_key(day, tenant)
    amounts = (1, usage.characters, round(usage.audio_seconds * 1e6), round(usage.engine_seconds * 1e6), usage.bytes)
    counts = [
        ["HINCRBY", key, f"{measure} {usage.engine}", str(amount)]
        for measure, amount in zip(MEASURES, amounts, strict=True)
    ]
    keep = [["EXPIRE", key, seconds], ["SADD", tenants_key(day), tenant], ["EXPIRE", tenants_key(day), seconds]]
    return [*counts, *keep]


def load_counted(day: date, tenant: str, fields: dict[str, str]) -> Iterable[Counted]:
    """Return the hash of a tenant's day, engine by engine."""
    engines: dict[str, dict[str, int]] = {}
    for field, amount in fields.items():
        measure, _, engine = field.partition(" ")
        engines.setdefault(engine, dict.fromkeys(MEASURES, 0))[measure] = int(amount)
    return [Counted(day, tenant, engine, amounts) for engine, amounts in sorted(engines.items())]

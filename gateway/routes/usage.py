"""What a tenant has used, by day and engine."""

import csv
import io
import re
import time
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from gateway.dependencies import ReaderDep, ServicesDep
from gateway.routes.problems import problems
from shared.access import TENANT, Scope
from shared.errors import Forbidden, InvalidPeriod
from shared.usage import MEASURES, Counted, day_of, days_between

router = APIRouter(prefix="/v1/usage", tags=["usage"])

LONGEST_DAYS = 400
USUAL_DAYS = 30
EVERYBODY = "*"
_GROUPS = ("day", "tenant", "engine")
_ANY_GROUPS = rf"({'|'.join(_GROUPS)})(,({'|'.join(_GROUPS)}))*"


def _written_out(day: object) -> object:
    """Refuse a number: it would be taken for Unix seconds."""
    if isinstance(day, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII):
        raise ValueError("a day is written as 2026-11-28")
    return day


Day = Annotated[date, BeforeValidator(_written_out)]


class UsageSums(BaseModel):
    """What was spoken, each finished segment counted once."""

    segments: int = Field(description="A short text is one; a long text is spoken in several.")
    characters: int
    audio_seconds: float = Field(description="Without the pauses between the segments of a long text.")
    engine_seconds: float = Field(description="0 for what was found spoken before.")
    bytes: int = Field(description="Of the segments' audio.")


class UsageRow(UsageSums):
    """The sums of one group; what is not grouped by is absent."""

    day: date | None = None
    tenant: str | None = None
    engine: str | None = None


class UsageReport(BaseModel):
    """What was used in a time, the last day included. Days are those of UTC."""

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    rows: list[UsageRow]
    total: UsageSums


@router.get(
    "",
    response_model=UsageReport,
    response_model_exclude_none=True,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problems(422, 503)},
)
async def get_usage(  # noqa: PLR0913, PLR0917 - what a request may say
    request: Request,
    services: ServicesDep,
    caller: ReaderDep,
    first: Annotated[Day | None, Query(alias="from", description="The first day; by default 30 days ago.")] = None,
    last: Annotated[Day | None, Query(alias="to", description="The last day; by default today.")] = None,
    group: Annotated[
        str, Query(pattern=f"^{_ANY_GROUPS}$", description="Any of day, tenant and engine, joined by commas.")
    ] = "day",
    tenant: Annotated[
        str | None,
        Query(
            pattern=rf"^({TENANT}|\*)$", description="Another tenant than your own, or * for all; for the scope admin."
        ),
    ] = None,
    form: Annotated[
        Literal["json", "csv"] | None, Query(alias="format", description="By default as Accept says, else json.")
    ] = None,
) -> Any:
    """Add up what your tenant has used."""
    if tenant is not None and not caller.sees(tenant):
        raise Forbidden(Scope.ADMIN)
    last = last or day_of(time.time())
    first = first or last - timedelta(days=USUAL_DAYS)
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise InvalidPeriod(limit=LONGEST_DAYS)
    whose = "" if tenant == EVERYBODY else tenant or caller.tenant
    counted = await services.usage.counted(days_between(first, last), tenant=whose)
    groups = [name for name in _GROUPS if name in group.split(",")]
    rows = grouped(counted, groups)
    if form == "csv" or (form is None and "text/csv" in request.headers.get("accept", "")):
        name = f"usage-{first}-{last}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(as_csv(rows, groups), media_type="text/csv; charset=utf-8", headers=headers)
    total = grouped(counted, [])
    return UsageReport(first=first, last=last, rows=rows, total=total[0] if total else UsageSums(**_sums({})))


def grouped(counted: Iterable[Counted], groups: list[str]) -> list[UsageRow]:
    """Return the sums of each group, in order of its names."""
    sums: dict[tuple[Any, ...], dict[str, int]] = {}
    for one in counted:
        into = sums.setdefault(tuple(getattr(one, group) for group in groups), dict.fromkeys(MEASURES, 0))
        for measure, amount in one.amounts.items():
            into[measure] += amount
    return [UsageRow(**dict(zip(groups, key, strict=True)), **_sums(sums[key])) for key in sorted(sums)]


def _sums(amounts: dict[str, int]) -> dict[str, Any]:
    """Return what was counted in whole units as the API names it."""
    segments, characters, audio_us, engine_us, size = (amounts.get(measure, 0) for measure in MEASURES)
    times = {"audio_seconds": audio_us / 1e6, "engine_seconds": engine_us / 1e6}
    return {"segments": segments, "characters": characters, **times, "bytes": size}


def as_csv(rows: Iterable[UsageRow], groups: list[str]) -> str:
    """Return the rows by RFC 4180, with a header."""
    file = io.StringIO()
    writer = csv.DictWriter(file, [*groups, *UsageSums.model_fields])
    writer.writeheader()
    for row in rows:
        writer.writerow(row.model_dump(include={*groups, *UsageSums.model_fields}))
    return file.getvalue()

"""What a tenant has used, as the API tells it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.settings import GatewaySettings
from shared.usage import MEASURES, Counted
from tests.gateway.conftest import World, world_with

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
PERIOD = {"from": "2026-11-23", "to": "2026-11-24"}


def counted(day: date, tenant: str, engine: str, *amounts: int) -> Counted:
    return Counted(day, tenant, engine, dict(zip(MEASURES, amounts, strict=True)))


@pytest.fixture
def told() -> Iterator[World]:
    """A gateway behind a proxy that tells tenants apart."""
    with world_with(GatewaySettings(tenant_header="X-Tenant")) as world:
        world.usage.all = [
            counted(MONDAY, "default", "builtin", 1, 10, 1_500_000, 100_000, 1000),
            counted(TUESDAY, "default", "builtin", 2, 20, 100_000, 200_000, 2000),
            counted(TUESDAY, "default", "emotivoice", 1, 5, 500_001, 0, 500),
            counted(TUESDAY, "other", "builtin", 7, 70, 7_000_000, 700_000, 7000),
        ]
        yield world


def test_a_tenant_sees_its_own_sums_by_day(told: World) -> None:
    answer = told.client.get("/v1/usage", params=PERIOD)

    assert answer.json() == {
        "from": "2026-11-23",
        "to": "2026-11-24",
        "rows": [
            {"day": "2026-11-23", "segments": 1, "characters": 10, "audio_seconds": 1.5, "engine_seconds": 0.1}
            | {"bytes": 1000},
            {"day": "2026-11-24", "segments": 3, "characters": 25, "audio_seconds": 0.600001, "engine_seconds": 0.2}
            | {"bytes": 2500},
        ],
        "total": {"segments": 4, "characters": 35, "audio_seconds": 2.100001, "engine_seconds": 0.3, "bytes": 3500},
    }


def test_groups_are_what_was_asked_for_in_one_order(told: World) -> None:
    rows = told.client.get("/v1/usage", params=PERIOD | {"group": "engine,day"}).json()["rows"]

    assert [(row["day"], row["engine"], row["characters"]) for row in rows] == [
        ("2026-11-23", "builtin", 10),
        ("2026-11-24", "builtin", 20),
        ("2026-11-24", "emotivoice", 5),
    ]


@pytest.mark.parametrize("asked", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
def test_a_spreadsheet_can_read_it(told: World, asked: dict[str, dict[str, str]]) -> None:
    params = PERIOD | {"group": "day,tenant"} | asked.get("params", {})
    answer = told.client.get("/v1/usage", params=params, headers=asked.get("headers", {}))

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.split("\r\n") == [
        "day,tenant,segments,characters,audio_seconds,engine_seconds,bytes",
        "2026-11-23,default,1,10,1.5,0.1,1000",
        "2026-11-24,default,3,25,0.600001,0.2,2500",
        "",
    ]


def test_only_an_administrator_sees_other_tenants(told: World, world: World) -> None:
    for tenant in ("other", "*"):
        answer = told.client.get("/v1/usage", params=PERIOD | {"tenant": tenant})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    world.usage.all = told.usage.all  # without a proxy, whoever comes may do everything
    rows = world.client.get("/v1/usage", params=PERIOD | {"tenant": "*", "group": "tenant"}).json()["rows"]
    assert {row["tenant"]: row["characters"] for row in rows} == {"default": 35, "other": 70}


def test_unasked_it_is_the_last_thirty_days(world: World) -> None:
    today = datetime.now(UTC).date()
    world.usage.all = [
        counted(today - timedelta(days=ago), "default", "builtin", 1, ago, 0, 0, 0) for ago in (0, 30, 31)
    ]

    assert world.client.get("/v1/usage").json()["total"]["characters"] == 30


@pytest.mark.parametrize("first", ["2026-11-25", "2020-01-01"])
def test_a_time_that_ends_before_it_begins_or_is_too_long_is_refused(world: World, first: str) -> None:
    answer = world.client.get("/v1/usage", params={"from": first, "to": "2026-11-24"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_period")

"""The cron trigger's times."""

from datetime import UTC, datetime

import pytest

from planner import cron
from planner.errors import PlanError

MONDAY = datetime(2026, 1, 5)


@pytest.mark.parametrize(
    ("text", "after", "found"),
    [
        ("45 7 * * 1-5", MONDAY, datetime(2026, 1, 5, 7, 45)),
        ("45 7 * * 1-5", datetime(2026, 1, 9, 7, 45), datetime(2026, 1, 12, 7, 45)),
        ("*/20 9-17/4 * * *", datetime(2026, 1, 5, 9, 40), datetime(2026, 1, 5, 13, 0)),
        ("0 0 1 feb,mar *", MONDAY, datetime(2026, 2, 1)),
        ("0 12 * * sun", MONDAY, datetime(2026, 1, 11, 12)),
        ("0 12 * * 7", MONDAY, datetime(2026, 1, 11, 12)),
        ("0 0 29 2 *", MONDAY, datetime(2028, 2, 29)),
        ("0 0 13 * 5", MONDAY, datetime(2026, 1, 9)),  # either field of days will do
    ],
)
def test_a_schedule_says_when_it_is_next(text: str, after: datetime, found: datetime) -> None:
    assert cron.parse(text).after(after) == found


def test_a_window_is_on_from_its_start_to_its_end() -> None:
    window = cron.window(start="45 7 * * 1-5", end="0 18 * * 1-5", timezone="Etc/UTC")

    assert window.state(MONDAY) == (False, 7.75 * 3600)
    assert window.state(MONDAY.replace(hour=7, minute=45)) == (True, 10.25 * 3600)
    assert window.state(MONDAY.replace(hour=18)) == (False, 13.75 * 3600)
    assert window.state(datetime(2026, 1, 10, 12)) == (False, (36 + 7.75) * 3600)


def test_a_window_may_span_midnight() -> None:
    window = cron.window(start="0 22 * * *", end="0 6 * * *", timezone="Etc/UTC")

    assert [window.state(MONDAY.replace(hour=hour))[0] for hour in (3, 12, 23)] == [True, False, True]


def test_a_time_with_a_zone_is_told_in_the_trigger_s() -> None:
    window = cron.window(start="0 8 * * *", end="0 18 * * *", timezone="Asia/Shanghai")

    assert window.state(datetime(2026, 1, 5, 1, tzinfo=UTC)) == (True, 9 * 3600)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("45 7 * *", "has 4 fields; it takes five"),
        ("60 7 * * *", "has '60' as minute; it takes 0 to 59"),
        ("0 7 * * tues", "has 'tues' as day of the week"),
        ("0 9-5 * * *", "has '9-5' as hour; a range goes from less to more"),
    ],
)
def test_what_is_no_cron_expression_is_named(text: str, said: str) -> None:
    with pytest.raises(PlanError) as raised:
        cron.parse(text)
    assert said in str(raised.value)


def test_days_and_zones_that_are_not_there_are_named() -> None:
    with pytest.raises(PlanError, match="names no day that comes"):
        cron.parse("0 0 31 2 *").after(MONDAY)
    with pytest.raises(PlanError, match="'Mars/Olympus' is unknown"):
        cron.window(start="0 8 * * *", end="0 18 * * *", timezone="Mars/Olympus")

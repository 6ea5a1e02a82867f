"""The times of KEDA's cron trigger."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from planner.errors import PlanError

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SEARCHED_DAYS = 4 * 366  # 29 February comes within them


@dataclass(frozen=True)
class Schedule:
    """A cron expression of five fields."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool  # a field of days is *: the other one decides. Else either will do

    def after(self, time: datetime) -> datetime:
        """Return the first time after this one, by the clock on the wall."""
        day = time.replace(hour=0, minute=0, second=0, microsecond=0)
        for ahead in range(SEARCHED_DAYS):
            date = day + timedelta(days=ahead)
            if not self._on(date):
                continue
            for hour in self.hours:
                for minute in self.minutes:
                    found = date.replace(hour=hour, minute=minute)
                    if found > time:
                        return found
        raise PlanError(f"the cron expression {self.text!r} names no day that comes")

    def _on(self, date: datetime) -> bool:
        day, weekday = date.day in self.days, date.isoweekday() % 7 in self.weekdays
        return date.month in self.months and ((day and weekday) if self.any_day else (day or weekday))


@dataclass(frozen=True)
class Window:
    """The time from a start to an end, again and again."""

    start: Schedule
    end: Schedule
    zone: ZoneInfo

    def state(self, time: datetime) -> tuple[bool, float]:
        """Return whether it is on, and for how many seconds more.

        Source: GetMetricsAndActivity of KEDA's cron_scaler.go: it is on if the end comes before the next start.
        """
        here = time.astimezone(self.zone).replace(tzinfo=None) if time.tzinfo else time
        start, end = self.start.after(here), self.end.after(here)
        return end < start, (min(start, end) - here).total_seconds()


def parse(text: str) -> Schedule:
    """Read a cron expression.

    Raises:
        PlanError: it does not have five fields of numbers, names, ranges, lists and steps.
    """
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise PlanError(
            f"the cron expression {text!r} has {len(parts)} fields; it takes five: minute hour day month weekday"
        )
    minutes, hours, days, months, weekdays = (_field(part, *field) for part, field in zip(parts, FIELDS, strict=True))
    return Schedule(
        text,
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(day % 7 for day in weekdays),
        any_day=parts[2] in ("*", "?") or parts[4] in ("*", "?"),
    )


def window(*, start: str, end: str, timezone: str) -> Window:
    """Return the window of a cron trigger.

    Raises:
        PlanError: a schedule can't be read, or the zone is unknown.
    """
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise PlanError(
            f"the cron trigger's timezone {timezone!r} is unknown; it takes one such as Europe/Paris"
        ) from error
    return Window(parse(start), parse(end), zone)


def _field(text: str, name: str, least: int, most: int) -> set[int]:
    values = set[int]()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = _span(span, name, least, most, open_end=bool(step))
        every = _number(step, name, 1, most) if step else 1
        values.update(range(first, last + 1, every))
    return values


def _span(text: str, name: str, least: int, most: int, *, open_end: bool) -> tuple[int, int]:
    if text in ("*", "?"):
        return least, most
    first, dash, last = text.partition("-")
    begin = _number(first, name, least, most)
    end = _number(last, name, least, most) if dash else most if open_end else begin
    if end < begin:
        raise PlanError(f"a cron expression has {text!r} as {name}; a range goes from less to more")
    return begin, end


def _number(text: str, name: str, least: int, most: int) -> int:
    names = {"month": MONTHS, "day of the week": DAYS}.get(name, ())
    if text.lower() in names:
        return names.index(text.lower()) + least
    if not text.isdigit() or not least <= int(text) <= most:
        raise PlanError(f"a cron expression has {text!r} as {name}; it takes {least} to {most}")
    return int(text)

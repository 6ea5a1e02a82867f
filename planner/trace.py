"""The load: when jobs arrive and how long each takes, from a CSV file or a pattern such as `2->35 rps at 60 s`."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.engine_seconds import EngineSeconds
from planner.errors import PlanError

Seconds = NDArray[np.float64]

DAY_SECONDS = 86_400.0
LONGEST_SECONDS = 31 * DAY_SECONDS
MOST_JOBS = 5_000_000  # about a minute of simulation, and 1 GB
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}

# The share of the day's peak at each full hour, straight lines between: work from eight to six, a dip at noon, a quiet
# evening, next to nothing at night. It is an assumption, not a recording; its mean is 0.29 of the peak.
DAY = (
    *(0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 0.06, 0.25, 0.6, 0.9, 1.0),
    *(0.75, 0.6, 0.75, 0.7, 0.5, 0.3, 0.15, 0.1, 0.06, 0.04, 0.02, 0.01),
)

NUMBER = r"(\d+(?:\.\d+)?)"
TIME = rf"{NUMBER}\s*(s|min|h)"
RATES = r"(?:rps|jobs/s)"
JUMP = re.compile(rf"{NUMBER}\s*(?:->|→)\s*{NUMBER}\s*{RATES}\s+at\s+{TIME}")
STEADY = re.compile(rf"{NUMBER}\s*{RATES}\s+for\s+{TIME}")
RAMP = re.compile(rf"{NUMBER}\s*(?:\.\.|…)\s*{NUMBER}\s*{RATES}\s+for\s+{TIME}")
AT_ONCE = re.compile(rf"(\d+)\s*jobs?\s+at\s+{TIME}")
WHOLE_DAY = re.compile(rf"day\s+{NUMBER}\s*{RATES}")

HELP = (
    "2->35 rps at 60 s | 5 rps for 2 min | 5..50 rps for 10 min | 30 jobs at 5 s | day 35 rps; several are joined by "
    "commas: 2 rps for 60 s, 35 rps for 5 min, 35..2 rps for 1 min"
)


@dataclass(frozen=True)
class Trace:
    """Jobs in the order of their arrival; both arrays are of one length, in seconds."""

    arrivals: Seconds
    engine_seconds: Seconds
    duration: float

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def busiest_minute(self) -> float:
        """How many workers the work of the busiest minute would keep busy all the time."""
        if not len(self):
            return 0
        minutes = np.bincount((self.arrivals // 60).astype(np.int64), weights=self.engine_seconds)
        return float(minutes.max() / 60)


@dataclass(frozen=True)
class _Piece:
    """A straight line of the load, in jobs per second; or jobs that come at once."""

    seconds: float
    first: float = 0
    last: float = 0
    at_once: int = 0


def from_pattern(
    pattern: str, engine_seconds: EngineSeconds, *, rng: np.random.Generator, duration: float | None = None
) -> Trace:
    """Return jobs that arrive at random, independently of each other, at the rates of the pattern.

    Args:
        duration: seconds until the end; what the pattern leaves open, its last rate fills. By default as long as the
            pattern, or if its end is open twice as long, at least 10 minutes.
    Raises:
        PlanError: the pattern can't be read, or is too long.
    """
    pieces = _pieces(pattern)
    told = sum(piece.seconds for piece in pieces)
    end = duration or (told if pieces[-1].seconds else max(2 * told, 600))
    if not 0 < end <= LONGEST_SECONDS:
        raise PlanError(f"a trace of {end:g} s is asked for; it may have up to {LONGEST_SECONDS:g} s")
    if end > told:
        pieces.append(_Piece(end - told, pieces[-1].last, pieces[-1].last))
    arrivals = np.concatenate(list(_arrivals(pieces, rng)))
    arrivals = np.sort(arrivals[arrivals < end])
    return Trace(arrivals, engine_seconds.draw(len(arrivals), rng), end)


def from_csv(
    path: Path, engine_seconds: EngineSeconds, *, rng: np.random.Generator, duration: float | None = None
) -> Trace:
    """Return the jobs of a file with a line for each: `seconds` or `seconds,engine_seconds`, after a header if any.

    Raises:
        PlanError: the file or a line of it can't be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(line, row) for line, row in enumerate(csv.reader(file), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlanError(f"{path} can't be read as CSV: {error}") from error
    if rows and not _is_number(rows[0][1][0]):
        rows = rows[1:]
    if not rows:
        raise PlanError(f"{path} has no jobs; it takes a line for each: seconds[,engine_seconds]")
    jobs = sorted(_row(path, line, row) for line, row in rows)
    arrivals = np.array([seconds for seconds, _ in jobs])
    drawn = engine_seconds.draw(len(jobs), rng)
    told = np.array([drawn[index] if seconds is None else seconds for index, (_, seconds) in enumerate(jobs)])
    end = duration or float(arrivals[-1]) + 1
    kept = arrivals < end
    return Trace(arrivals[kept], told[kept], end)


def _row(path: Path, line: int, row: list[str]) -> tuple[float, float | None]:
    wanted = "it takes seconds[,engine_seconds], neither below 0"
    if len(row) > 2 or not all(_is_number(each) for each in row):
        raise PlanError(f"line {line} of {path} is {','.join(row)!r}; {wanted}")
    seconds, engine = float(row[0]), float(row[1]) if len(row) == 2 else None
    if not 0 <= seconds <= LONGEST_SECONDS or (engine is not None and not 0 <= engine <= LONGEST_SECONDS):
        raise PlanError(f"line {line} of {path} is {','.join(row)!r}; {wanted}, nor above {LONGEST_SECONDS:g}")
    return seconds, engine


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _pieces(pattern: str) -> list[_Piece]:
    pieces = list[_Piece]()
    for part in pattern.split(","):
        pieces += _read(part.strip())
    return pieces


def _read(part: str) -> list[_Piece]:
    if match := JUMP.fullmatch(part):
        before, after, time, unit = match.groups()
        return [_Piece(float(time) * UNITS[unit], float(before), float(before)), _Piece(0, float(after), float(after))]
    if match := STEADY.fullmatch(part):
        rate, time, unit = match.groups()
        return [_Piece(float(time) * UNITS[unit], float(rate), float(rate))]
    if match := RAMP.fullmatch(part):
        first, last, time, unit = match.groups()
        return [_Piece(float(time) * UNITS[unit], float(first), float(last))]
    if match := AT_ONCE.fullmatch(part):
        count, time, unit = match.groups()
        return [_Piece(float(time) * UNITS[unit]), _Piece(0, at_once=int(count))]
    if match := WHOLE_DAY.fullmatch(part):
        peak = float(match[1])
        ends = [*DAY[1:], DAY[0]]
        return [_Piece(3600, peak * first, peak * last) for first, last in zip(DAY, ends, strict=True)]
    raise PlanError(f"the pattern has {part!r}; it takes {HELP}")


def _arrivals(pieces: list[_Piece], rng: np.random.Generator) -> Iterator[Seconds]:
    expected = sum((each.first + each.last) / 2 * each.seconds + each.at_once for each in pieces)
    if expected > MOST_JOBS:
        raise PlanError(f"the pattern makes about {expected:,.0f} jobs; a trace may have {MOST_JOBS:,}")
    start = 0.0
    for piece in pieces:
        if piece.at_once:
            yield np.full(piece.at_once, start)
        elif piece.seconds:
            yield start + _on_a_line(piece, rng)
        start += piece.seconds


def _on_a_line(piece: _Piece, rng: np.random.Generator) -> Seconds:
    """Return the arrivals of a Poisson process whose rate changes along a straight line.

    Their number is Poisson's, and each is where the rate's integral is a uniform share of the whole.
    """
    mean = (piece.first + piece.last) / 2
    shares = rng.random(rng.poisson(mean * piece.seconds))
    if piece.first == piece.last:
        return shares * piece.seconds
    first, change = piece.first, piece.last - piece.first
    return (np.sqrt(first**2 + 2 * change * mean * shares) - first) / change * piece.seconds

"""Cut a long paragraph where its own words say so, so that an edit moves no cut but those beside it.

Were it cut at every so many seconds from its beginning, a new word would move all cuts behind it, and all of that
would have to be spoken again. So each place between two parts gets a number from the words that follow it. The place
with the smallest number cuts the paragraph in two, and a half that is still too long is cut likewise: the cuts are the
upper nodes of a treap. An edit changes the number of one place at most.

Source: C. R. Aragon, R. G. Seidel, "Randomized search trees", FOCS 1989.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

LONG_SECONDS = 40.0  # a paragraph up to here is one segment, and so is a half
EDGE_SECONDS = 8.0  # a cut is so far from both ends: no segment of a long paragraph is shorter
KEY_CHARACTERS = 8  # of what follows a place


@dataclass(frozen=True)
class Measured:
    """A part, for what is done here."""

    text: str
    seconds: float
    ends_sentence: bool


def cut(parts: Sequence[Measured]) -> list[tuple[int, int]]:
    """Return [start, end) of each segment of a paragraph."""
    times = list(accumulate((part.seconds for part in parts), initial=0.0))
    numbers = [_number(part.text) for part in parts]
    return list(_cut(parts, times, numbers, (0, len(parts))))


def _cut(
    parts: Sequence[Measured], times: Sequence[float], numbers: Sequence[int], whole: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    start, end = whole
    if times[end] - times[start] <= LONG_SECONDS or end - start == 1:
        yield whole
        return
    middle = (start + end) / 2  # of equal numbers, as in a text that repeats itself, the one nearest to it
    place = min(_places(parts, times, start, end), key=lambda at: (numbers[at], abs(at - middle)))
    yield from _cut(parts, times, numbers, (start, place))
    yield from _cut(parts, times, numbers, (place, end))


def _places(parts: Sequence[Measured], times: Sequence[float], start: int, end: int) -> list[int]:
    """Return where it may be cut: between sentences if that leaves enough on both sides, else anywhere."""
    anywhere = list(range(start + 1, end))
    roomy = [at for at in anywhere if min(times[at] - times[start], times[end] - times[at]) >= EDGE_SECONDS]
    return [at for at in roomy if parts[at - 1].ends_sentence] or roomy or anywhere


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text[:KEY_CHARACTERS].encode()).digest()[:8])

"""Subtitles: SRT and WebVTT, from what was spoken and when.

A subtitle has at most two lines of 42 columns, of which a Chinese character takes two: the usual limits of 42 letters
and of 21 characters (a little more than the 16 to 20 of television, as a book is read at leisure).
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape

LINE_COLUMNS = 42

_PHRASE_ENDS = frozenset(",;:.!?…—–，、；：。！？")
_CLOSING = _PHRASE_ENDS | frozenset(")]}»”’）】》」』〉％%")  # never first in a line
_OPENING = frozenset("([{«“‘（【《「『〈$¥￥")  # never last
_MID_PHRASE = 0.25  # how far from the middle a phrase may end and still be the better place to break


@dataclass(frozen=True)
class Cue:
    """A stretch of text, usually a sentence, and when it is heard."""

    start_seconds: float
    end_seconds: float
    text: str


def srt(cues: Iterable[Cue]) -> str:
    """Return cues as SubRip: UTF-8 once it is encoded."""
    return "".join(
        f"{number}\n{_time(cue.start_seconds, ',')} --> {_time(cue.end_seconds, ',')}\n{cue.text}\n\n"
        for number, cue in enumerate(fitted(cues), 1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """Return cues as WebVTT."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start_seconds, '.')} --> {_time(cue.end_seconds, '.')}\n{escape(cue.text, quote=False)}\n\n"
        for cue in fitted(cues)
    )


def shifted(cues: Iterable[Cue], seconds: float) -> Iterator[Cue]:
    """Yield a chapter's cues as they are in the whole book, where the chapter begins at `seconds`."""
    for cue in cues:
        yield replace(cue, start_seconds=cue.start_seconds + seconds, end_seconds=cue.end_seconds + seconds)


def fitted(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Yield cues of at most two lines: a longer one in parts, each with the time that its length is of the whole."""
    for cue in cues:
        parts = _parts(" ".join(cue.text.split()))
        total = sum(columns(part) for part in parts)
        per_column = (cue.end_seconds - cue.start_seconds) / max(total, 1)
        begins = 0
        for part in parts:
            ends = begins + columns(part)
            start = cue.start_seconds + begins * per_column
            yield Cue(start, cue.start_seconds + ends * per_column, "\n".join(_lines(part) or [part]))
            begins = ends


def columns(text: str) -> int:
    """Return how wide a text is: a letter is one column, a Chinese character two, a combining mark none."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _parts(text: str) -> list[str]:
    if not text:
        return []
    if _lines(text):
        return [text]
    place = _middle_break(text, lambda _: True)
    return _parts(text[:place].strip()) + _parts(text[place:].strip())


def _lines(text: str) -> list[str] | None:
    """Return the text in one or two lines, or None if it is too long for two."""
    if columns(text) <= LINE_COLUMNS:
        return [text]

    def fits(place: int) -> bool:
        return max(columns(text[:place].strip()), columns(text[place:].strip())) <= LINE_COLUMNS

    if columns(text) > 2 * LINE_COLUMNS + 1:  # the space between them counts no more
        return None
    place = _middle_break(text, fits)
    return [text[:place].strip(), text[place:].strip()] if fits(place) else None


def _middle_break(text: str, fits: Callable[[int], bool]) -> int:
    """Return where to break a text: near its middle, rather behind a phrase, between two letters if it has to be."""
    half = columns(text) / 2
    breaks = [place for place in range(1, len(text)) if _may_break(text, place)]

    def cost(place: int) -> float:
        off = abs(columns(text[:place]) - half) / half
        return off if text[:place].rstrip()[-1] in _PHRASE_ENDS else off + _MID_PHRASE

    return min(filter(fits, breaks), key=cost, default=0) or min(breaks, key=cost, default=len(text) // 2)


def _may_break(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if before == " ":
        return True
    if after == " " or after in _CLOSING or before in _OPENING or unicodedata.combining(after):
        return False
    return _width(before) == 2 or _width(after) == 2


def _time(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"

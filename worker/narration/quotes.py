"""Where somebody speaks in a paragraph: what stands in quotes, but for words that are only mentioned."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from worker.engine.text.characters import is_han

CLOSED_BY = {"“": "”", "‘": "’", "«": "»", "‹": "›", "„": "“”", "「": "」", "『": "』", '"': '"', "'": "'", "＂": "＂"}
_STRAIGHT = "\"'＂"
_SINGLE = "'’"  # may be an apostrophe
_ELIDED = re.compile(r"(?:tis|twas|twere|twill|em|cause|til|till|n|bout|round|im|er|cept|fraid)\b|\d", re.IGNORECASE)
_ENDS_SPEECH = ".,!?…—–-;:。，！？；："
_LEADS_IN = re.compile(r"(?:^|[.,:;!?…—–。，：；！？、”’\"」』»)）])\s*$")
_SAYING = re.compile(
    r"\b(?:said|says?|cried|asked|answered|replied|shouted|whispered|called out|murmured|yelled|repeated)\s(?:\w+\s)?$"
    r"|[说道问答喊叫嚷說問]\s*$"
)
MOST_CHARACTERS = 5_000  # of a quote: one that has not ended by then is taken as not closed
POSSESSIVE_REACH = 400  # characters in which a quote ends whose first ’ may be an apostrophe
NEAR = 60  # characters around a quote that tell what it is
MENTIONED_WORDS, MENTIONED_HAN = 3, 6  # as many may be a word in quotes that nobody says


@dataclass(frozen=True)
class Quote:
    """A stretch [start, end) of a paragraph with its quotes; `open` if the paragraph ends before it does."""

    start: int
    end: int
    opening: str
    open: bool = False


def speeches(text: str) -> list[Quote]:
    """Return what somebody says, in order. Quotes inside a quote belong to it."""
    return [quote for quote in quotes(text) if not _is_mentioned(text, quote)]


def quotes(text: str) -> Iterator[Quote]:
    """Yield what stands in quotes; what is not closed ends with the text."""
    at = 0
    while at < len(text):
        if text[at] not in CLOSED_BY or not _opens(text, at):
            at += 1
            continue
        end = _end(text, at)
        yield Quote(at, end or len(text), text[at], open=end is None)
        at = end or len(text)


def continues(text: str, opening: str) -> bool:
    """Whether a paragraph goes on with what the one before it left open: it begins with the quote again."""
    return bool(opening) and text.lstrip().startswith(opening)


def _opens(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + NEAR]
    if text[at] not in _STRAIGHT and text[at] != "‘":
        return True
    if not after.strip():
        return False
    if text[at] in '"＂':
        return not before.isdigit()  # 5" are inches
    if before.isalnum() and not is_han(before):
        return False  # an apostrophe
    return not after[0].isspace() and not _ELIDED.match(after) and _end(text, at) is not None


def _end(text: str, start: int) -> int | None:
    """Where the quote ends that begins there, behind its mark."""
    opening, reach = text[start], start + MOST_CHARACTERS
    closing = re.compile(f"[{CLOSED_BY[opening]}]")
    places = (match.start() for match in closing.finditer(text, start + 1, reach))
    if opening in "'‘":
        return _end_of_single(text, (at for at in places if _closes(text, at)))
    first = next(places, None)
    if first is None or opening in _STRAIGHT or text.find(opening, start + 1, first) < 0:
        return None if first is None else first + 1
    return _balanced(text, start, [first, *places]) + 1


def _end_of_single(text: str, places: Iterator[int]) -> int | None:
    first = next(places, None)
    if first is None:
        return None
    if _is_possessive(text, first):  # the boys’ books
        near = takewhile(lambda at: at < first + POSSESSIVE_REACH, places)
        return next((at for at in near if text[at - 1] in _ENDS_SPEECH), first) + 1
    return first + 1


def _closes(text: str, at: int) -> bool:
    """Whether a single quote can close: not one between letters, nor before an elided word."""
    after = text[at + 1 : at + 2]
    if text[at - 1].isspace():
        return False
    return not (after.isalnum() and not is_han(after) and not is_han(text[at - 1]))


def _is_possessive(text: str, at: int) -> bool:
    return text[at - 1] in "sS" and text[at + 1 : at + 2] == " "


def _balanced(text: str, start: int, places: list[int]) -> int:
    """Of the closing marks, the one that closes what begins at `start` and not one of its kind inside of it.

    Where there are too few of them, one is missing or mistyped: then the first closes.
    """
    opened, last = 0, start
    for closed, at in enumerate(places, 1):
        opened += text.count(text[start], last, at)
        if opened <= closed:
            return at
        last = at
    return places[0]


def _is_mentioned(text: str, quote: Quote) -> bool:
    """Whether it is a word in quotes that nobody says, such as: the “expert” came."""
    inside = text[quote.start + 1 : quote.end - 1].strip()
    before, after = text[max(0, quote.start - NEAR) : quote.start], text[quote.end : quote.end + NEAR]
    if quote.open or not inside or inside[-1] in _ENDS_SPEECH:
        return False
    if _LEADS_IN.search(before) and not after.lstrip()[:1].islower():
        return False
    return _is_short(inside) and not _SAYING.search(before)


def _is_short(text: str) -> bool:
    han = sum(map(is_han, text))
    return (
        han <= MENTIONED_HAN
        and len(re.findall(r"[^\W\d_]+|\d+", re.sub(r"[\u3400-\u9fff]", "", text))) <= MENTIONED_WORDS
    )

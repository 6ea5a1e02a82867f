"""Text to pieces of about a sentence, each with the pause after it. No character that is not blank is ever lost.

A piece ends at a sentence end, at a blank line, and, where a sentence is longer than one model call should be, at its
best comma; as a last resort between words, never inside a word, a number or an override ([word](/phonemes/)).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from math import ceil

from worker.engine.text.characters import is_han, is_mark
from worker.engine.text.override import OVERRIDE
from worker.engine.text.words import ABBREVIATED

WINDOW = 1000  # characters among which the next cut is looked for: a long text costs its length, not its square
CONTEXT = 80  # characters around a mark that tell whether it ends a sentence
MAX_WEIGHT = 120  # a Han character weighs 3, any other 1: 40 Chinese characters or 20 English words, about 8 s


class Pause(StrEnum):
    """Why a piece ends."""

    PHRASE = "phrase"
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"


PAUSE_SECONDS = {Pause.PHRASE: 0.2, Pause.SENTENCE: 0.45, Pause.PARAGRAPH: 0.9}


@dataclass(frozen=True)
class Piece:
    """What one model call speaks, and the pause after it."""

    text: str
    pause: Pause

    @property
    def pause_seconds(self) -> float:
        return PAUSE_SECONDS[self.pause]


_CLOSING = "”’」』》〉）)]】〕»›"
_EITHER = "\"'"  # opens or closes
_PARAGRAPH = re.compile(
    r"(?<!\s)[^\S\n]*+\n(?:[^\S\n]*+\n\s*|[^\S\n]*+(?![a-z]))"
)  # a lower-case line goes on with the one before
_END = re.compile(r"[。！？!?…]+|\.+")
_PHRASE_END = re.compile(r"[,，、;；:：—–](?!\s*\d)|(?<!\d)[,，、;；:：—–]")
# An override is hidden while the text is split, behind characters that Unicode keeps for such uses: one for its
# beginning, and one for each further unit of its weight.
_HIDDEN, _MORE = "\ufdd0", "\ufdd1"
_TO_HIDE = re.compile(f"{OVERRIDE.pattern}|[{_HIDDEN}{_MORE}]")
_HIDDEN_RUN = re.compile(f"{_HIDDEN}{_MORE}*")
_WORD_GAP = re.compile(
    r"(?<!\d)\s+(?!\d)|(?<=[\u3400-\u9fff])(?=[A-Za-z])|(?<=[A-Za-z])(?=[\u3400-\u9fff])"
    rf"|(?<=[\u3400-\u9fff{_HIDDEN}{_MORE}])(?={_HIDDEN})|(?<=[{_HIDDEN}{_MORE}])(?=[\u3400-\u9fff])"
)
_GAP = re.compile(r"\s+")
_HAN_RUN = re.compile(r"[\u3400-\u9fff]{2,}")
_HAN_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两点分之")
_INITIALS = re.compile(r"(?:\b[A-Za-z]\.)+[A-Za-z]$|\b[A-HJ-Z]$")  # "I." may well end a sentence
_LAST_WORD = re.compile(r"[A-Za-z]+$")
_LATE = frozenset(("etc", "Inc", "Ltd", "Co", "Corp", "Jr", "Sr"))  # abbreviations that may end a sentence
# Of these the point ends no sentence either; the engines say them as they are written.
_SHORT = frozenset(("cf", "viz", "Hon", "Messrs", "Mme", "Mlle", "Maj", "Cpl", "Adm", "Cmdr", "Supt"))
_BEFORE_NUMBERS = frozenset(("fig", "figs", "p", "pp", "vol", "vols", "ch", "sec", "nos", "eq", "approx", "ca", "ft"))
_OPENERS = """The It He She They We I This That These Those In But And So A An If When There You His Her My Then Now
After Before At As For With To What Who Why How Where Our Your Its"""
_STARTERS = frozenset(_OPENERS.split())


def split(text: str, max_weight: int = MAX_WEIGHT) -> list[Piece]:
    """Split a text of any length; blanks inside a piece become single spaces.

    A piece is heavier than `max_weight` only where it is one unbroken word. What holds only marks joins its neighbour.
    """
    hidden = [match[0] for match in _TO_HIDE.finditer(text)]
    pieces: list[Piece] = []
    for paragraph in _PARAGRAPH.split(_TO_HIDE.sub(_hide, text)):
        found = [piece for sentence in _sentences(paragraph) for piece in _phrases(sentence, max_weight)]
        if found:
            pieces += [*found[:-1], Piece(found[-1].text, Pause.PARAGRAPH)]
    pieces = _without_lone_marks(pieces)
    return _shown(pieces, hidden) if hidden else pieces


def _hide(override: re.Match[str]) -> str:
    if override["word"] is None:
        return _HIDDEN
    return _HIDDEN + _MORE * (max(_weight(override["word"]), len(override["phonemes"].split())) - 1)


def _shown(pieces: list[Piece], hidden: list[str]) -> list[Piece]:
    left = iter(hidden)
    return [Piece(_HIDDEN_RUN.sub(lambda _: next(left), piece.text), piece.pause) for piece in pieces]


def weight(text: str) -> int:
    """How long a text is to say: about 15 to a second. An override weighs as much as its word, or its phonemes."""
    return _weight(_TO_HIDE.sub(_hide, text))


def _weight(text: str) -> int:
    if text.isascii():  # by far the fastest, and a listener waits while a long text is split
        return len(text)
    return sum(3 if is_han(character) else 1 for character in text)


def _sentences(paragraph: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(paragraph):
        if match.start() < start:
            continue
        end = _after_closing(paragraph, start, match.end())
        before = paragraph[max(start, match.start() - CONTEXT) : match.start()]
        if _ends_sentence(before, match[0], paragraph[end : end + CONTEXT]):
            yield paragraph[start:end]
            start = end
    yield paragraph[start:]


def _after_closing(text: str, start: int, end: int) -> int:
    """Where the quotes and brackets end that close behind a sentence end; a straight quote closes an open one."""
    while end < len(text):
        if text[end].isspace() and text[end + 1 : end + 2] in ("»", "›"):  # « Oui. »
            end += 1
        closes = text[end] in _CLOSING or (text[end] in _EITHER and text.count(text[end], start, end) % 2 == 1)
        if not closes and text[end] not in "。！？!?….":
            break
        end += 1
    return end


def _ends_sentence(before: str, mark: str, rest: str) -> bool:
    """Whether the mark between the two ends a sentence; `rest` begins behind the closing quotes."""
    following = rest.lstrip()
    if not following:
        return True
    touches = rest[0].isascii() and rest[0].isalnum() and before[-1:].isascii()
    if touches or following[0].islower():  # example.com, 3.14, "Really?" he asked, wait… what
        return False
    return mark != "." or _point_ends_sentence(before, following)


def _point_ends_sentence(before: str, following: str) -> bool:
    next_word = following.split(maxsplit=1)[0].strip(",.!?")
    if _INITIALS.search(before):
        return next_word in _STARTERS and "." in before[-3:]  # U.S. The …, but not J. Smith
    if before.strip().isdigit():
        return False  # 1. The first point
    match = _LAST_WORD.search(before)
    word = match[0] if match else ""
    if word == "No" or word.lower() in _BEFORE_NUMBERS:
        return not following[0].isdigit()
    return word not in ABBREVIATED | _SHORT or word in _LATE


def _phrases(sentence: str, max_weight: int) -> Iterator[Piece]:
    """A sentence, in as many pieces as its weight asks for."""
    rest = _GAP.sub(" ", sentence).strip()
    while _weight(rest[: max_weight + 1]) > max_weight:
        window = WINDOW
        while (cut := _best_cut(rest[:window], max_weight)) is None and window < len(rest):
            window *= 2  # one word fills it
        if cut is None:
            break
        yield Piece(rest[:cut].rstrip(), Pause.PHRASE)
        rest = rest[cut:].lstrip()
    if rest:
        yield Piece(rest, Pause.SENTENCE)


def _best_cut(text: str, max_weight: int) -> int | None:
    """The cut of the best kind that divides most evenly; the first of any kind where none fits."""
    weights = [0, *accumulate(map(_weight, text))]  # of each beginning of the text
    total = weights[-1]
    even = total / ceil(total / max_weight)
    kinds = [_phrase_cuts(text), _word_cuts(text), [match.end() for match in _GAP.finditer(text)]]
    for kind, least in zip(kinds, (max_weight // 4, 1, 1), strict=True):
        fitting = [cut for cut in kind if least <= weights[len(text[:cut].rstrip())] <= max_weight]
        if fitting:
            return min(fitting, key=lambda cut: abs(weights[cut] - even))
    return min((cut for kind in kinds for cut in kind if 0 < cut < len(text)), default=None)


def _phrase_cuts(text: str) -> list[int]:
    return [_after_closing(text, 0, match.end()) for match in _PHRASE_END.finditer(text)]


def _word_cuts(text: str) -> list[int]:
    cuts = {match.end() for match in _WORD_GAP.finditer(text)}
    for run in _HAN_RUN.finditer(text):
        cuts |= {run.start() + cut for cut in _han_cuts(run[0])}
    return sorted(cuts)


def _han_cuts(run: str) -> Iterator[int]:
    """Where words end in a run of Han characters, by pypinyin's dictionary of phrases; never inside a numeral."""
    from pypinyin.seg.mmseg import seg  # pyright: ignore[reportMissingTypeStubs]

    end = 0
    for word in seg.cut(run):
        end += len(word)
        if end < len(run) and not {run[end - 1], run[end]} & _HAN_NUMERALS:
            yield end


def _without_lone_marks(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    held = ""
    for piece in pieces:
        if all(is_mark(character) for character in piece.text):
            if joined:
                joined[-1] = Piece(
                    f"{joined[-1].text} {piece.text}", max(joined[-1].pause, piece.pause, key=_ORDER.index)
                )
            else:
                held += piece.text + " "
            continue
        joined.append(Piece(held + piece.text, piece.pause))
        held = ""
    return joined if joined or not held else [Piece(held.strip(), Pause.PARAGRAPH)]


_ORDER = list(Pause)

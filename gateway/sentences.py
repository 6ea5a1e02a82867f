"""Text as it is written, cut into sentences as soon as each is whole. No character that is not blank is ever lost.

A cut is made only where the worker would end a sentence too, whatever comes next (worker/engine/text/segmentation.py;
a test holds the two together). Where that can't be told yet, or not for sure, what follows stays with it: the worker
cuts again, and knows more.
"""

import re
from collections import deque
from dataclasses import dataclass
from itertools import takewhile

from shared.speech_length import estimated_seconds

SENTENCE_SECONDS, PARAGRAPH_SECONDS, PHRASE_SECONDS = 0.45, 0.9, 0.2  # of silence, as a worker's between utterances
LONGEST_SENTENCE = 1000  # characters; then it is cut between words
LONGEST_PIECE_SECONDS = 20.0  # of several sentences together, about
CONTEXT = 80  # characters around a mark that tell whether it ends a sentence

# Their point ends no sentence, or perhaps none.
_ABBREVIATIONS = """Mr Mrs Ms Dr Prof St Jr Sr vs etc Inc Ltd Co Corp approx Fig Vol Ave Blvd Rd Dept Gen Col Sgt Capt
Lt Rev Gov Sen Rep Mt al No Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
_CLOSING = "”’」』》〉）)】〕"
_EITHER = "\"'"  # opens or closes
_END = re.compile(r"[。！？!?…]+|\.+|\n")
_WORD = re.compile(r"\w")
_POINT_MAY_END = re.compile(r"(?:^|[^\w.])([^\W\d_]{2,})$|[\u3400-\u9fff)\]”’\"']$")


@dataclass(frozen=True)
class Sentence:
    """Text to be spoken in one go, and the seconds of silence behind it."""

    text: str
    pause_seconds: float


MARK = Sentence("", 0.0)


class Gatherer:
    """Takes text in pieces of any length, gives it back in sentences."""

    def __init__(self) -> None:
        self.rest = ""  # no sentence yet
        self._whole = deque[Sentence]()

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return bool(self._whole)

    def add(self, text: str) -> None:
        self.rest += text
        start = 0
        for end, pause_seconds in _ends(self.rest):
            if _WORD.search(self.rest, start, end):  # marks alone stay with what follows
                self._whole.append(Sentence(self.rest[start:end], pause_seconds))
                start = end
        self.rest = self.rest[start:]
        while len(self.rest) > LONGEST_SENTENCE:
            self._cut(self.rest.rfind(" ", LONGEST_SENTENCE // 2, LONGEST_SENTENCE) + 1 or LONGEST_SENTENCE)

    def flush(self) -> None:
        """What there is, is a sentence."""
        self._cut(len(self.rest))

    def mark(self) -> None:
        """Have MARK taken behind all that is whole by now."""
        self._whole.append(MARK)

    def take(self) -> Sentence | None:
        """Return what is to be spoken next: all that is whole, as far as it makes one piece; or MARK."""
        if not self._whole:
            return None
        taken = [self._whole.popleft()]
        if taken[0] is MARK:
            return MARK
        left = LONGEST_PIECE_SECONDS - estimated_seconds(taken[0].text)
        while self._whole and self._whole[0] is not MARK:
            left -= estimated_seconds(self._whole[0].text)
            if left < 0:
                break
            taken.append(self._whole.popleft())
        return Sentence("".join(each.text for each in taken), taken[-1].pause_seconds)

    def _cut(self, end: int) -> None:
        text, self.rest = self.rest[:end], self.rest[end:]
        if text.strip():
            ended = text.rstrip()[-1] in f".。！？!?…{_CLOSING}"
            self._whole.append(Sentence(text, SENTENCE_SECONDS if ended else PHRASE_SECONDS))


def _ends(text: str) -> list[tuple[int, float]]:
    """Return where sentences end for sure, each with the pause behind it. The last character ends none."""
    found: list[tuple[int, float]] = []
    start = 0
    for match in _END.finditer(text):
        if match.start() < start:
            continue
        end = _after_closing(text, start, match.end())
        before = text[max(start, match.start() - CONTEXT) : match.start()]
        if pause_seconds := _pause(before, match[0], text[end : end + CONTEXT], closed=end > match.end()):
            found.append((end, pause_seconds))
            start = end
    return found


def _after_closing(text: str, start: int, end: int) -> int:
    """Where the quotes and brackets end that close behind a mark; a straight quote closes an open one."""
    while end < len(text):
        closes = text[end] in _CLOSING or (text[end] in _EITHER and text.count(text[end], start, end) % 2 == 1)
        if not closes and text[end] not in "。！？!?….":
            break
        end += 1
    return end


def _pause(before: str, mark: str, rest: str, *, closed: bool) -> float:
    """Return the pause if the mark ends a sentence whatever comes; 0 if not, or if that can't be told yet."""
    following = rest.lstrip()
    if not following:
        return 0.0
    if mark == "\n":
        lines = 1 + "".join(takewhile(str.isspace, rest)).count("\n")
        return PARAGRAPH_SECONDS if lines > 1 or not "a" <= following[0] <= "z" else 0.0
    blanks = rest[: len(rest) - len(following)]
    if following[0].islower() or (mark[0] in ".!?…" and not blanks and following[0].isascii()):
        return 0.0
    if mark == "." and not closed and not _point_ends(before):
        return 0.0
    return PARAGRAPH_SECONDS if blanks.count("\n") > 1 else SENTENCE_SECONDS


def _point_ends(before: str) -> bool:
    match = _POINT_MAY_END.search(before)
    return bool(match) and match[1] not in ABBREVIATIONS

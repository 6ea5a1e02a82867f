"""Which language a piece of text is in, and which one reads the numbers and symbols inside it."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from worker.engine.text.characters import LATIN_WORD, PAUSES, SENTENCE_ENDS, is_han, is_latin

Language = Literal["zh", "en"]
_Side = Language | Literal["", "?"]  # of a letter; of a pause; of what is looked past


def main_language(text: str, default: Language) -> Language:
    """The language of the sentence: one Chinese character weighs as much as one English word."""
    han = sum(map(is_han, text))
    latin = len(LATIN_WORD.findall(text))
    if han == latin == 0:
        return default
    return "zh" if han >= latin else "en"


class Surroundings:
    """What stands around each place of a text, looked up once: a text of symbols costs its length, not its square."""

    def __init__(self, text: str, main: Language) -> None:
        sides: list[_Side] = [_side(character) for character in text]
        self.main: Language = main
        self._before = _nearest(sides)  # of each beginning of the text
        self._after = _nearest(reversed(sides))[::-1]  # of each rest

    def language(self, start: int, end: int) -> Language:
        """The language that reads text[start:end], a number or a symbol.

        It is the sentence's, unless the letters on both sides agree on the other one: in 他说 I have 3 apples 然后走了
        the 3 is English; in 我买了 iPhone 15 it is Chinese, as Chinese speakers read it.
        """
        before, after = self._before[start], self._after[end]
        return before if before == after and before in ("zh", "en") else self.main


@lru_cache(maxsize=20_000)
def _side(character: str) -> _Side:
    if character in PAUSES or character in SENTENCE_ENDS:
        return ""
    if is_han(character):
        return "zh"
    return "en" if is_latin(character) else "?"


def _nearest(sides: Iterable[_Side]) -> list[_Side]:
    nearest: list[_Side] = [""]
    for side in sides:
        nearest.append(nearest[-1] if side == "?" else side)
    return nearest

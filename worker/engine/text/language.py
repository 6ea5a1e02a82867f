"""Which language a piece of text is in, and which one reads the numbers and symbols inside it."""

from typing import Literal

from worker.engine.text.characters import LATIN_WORD, PAUSES, SENTENCE_ENDS, is_han, is_latin

Language = Literal["zh", "en"]


def main_language(text: str, default: Language) -> Language:
    """The language of the sentence: one Chinese character weighs as much as one English word."""
    han = sum(map(is_han, text))
    latin = len(LATIN_WORD.findall(text))
    if han == latin == 0:
        return default
    return "zh" if han >= latin else "en"


def language_around(text: str, start: int, end: int, main: Language) -> Language:
    """The language that reads text[start:end], a number or a symbol.

    It is the sentence's, unless the letters on both sides agree on the other one: in 他说 I have 3 apples 然后走了
    the 3 is English; in 我买了 iPhone 15 it is Chinese, as Chinese speakers read it.
    """
    before, after = _nearest(text, range(start - 1, -1, -1)), _nearest(text, range(end, len(text)))
    return before if before is not None and before == after else main


def _nearest(text: str, positions: range) -> Language | None:
    for character in map(text.__getitem__, positions):
        if character in PAUSES or character in SENTENCE_ENDS:
            return None
        if is_han(character):
            return "zh"
        if is_latin(character):
            return "en"
    return None

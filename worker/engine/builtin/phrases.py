"""Tokens to phrases: what one run of a speaking program says."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.engine.text.language import Language
from worker.engine.text.normalization import Token

PAUSE_SECONDS = {"": 0.03, ",": 0.2, ".": 0.4, "?": 0.4, "!": 0.4}  # inside an utterance; "" is a change of language


@dataclass(frozen=True)
class Phrase:
    """Words of one language up to a mark. marks[i] is the pause after tokens[i], and the last is the phrase's own."""

    language: Language
    tokens: tuple[Token, ...]
    marks: tuple[str, ...]

    @property
    def pause(self) -> str:
        return self.marks[-1]


def phrases(tokens: Sequence[Token]) -> list[Phrase]:
    """Split at changes of language and ends of sentences, and Chinese also at commas.

    flite shapes an English sentence as a whole, commas included, and says how long its pauses are; espeak-ng does not.
    """
    spoken = [token for token in tokens if token.spoken]
    marks = _marks_after(tokens)
    found: list[Phrase] = []
    start = 0
    for i, (token, mark) in enumerate(zip(spoken, marks, strict=True)):
        is_last = i + 1 == len(spoken)
        if is_last or spoken[i + 1].language != token.language or mark in {*".?!"} or (mark and token.language == "zh"):
            found.append(Phrase(token.language, tuple(spoken[start : i + 1]), tuple(marks[start : i + 1])))
            start = i + 1
    return found


def _marks_after(tokens: Sequence[Token]) -> list[str]:
    """The strongest mark after each spoken token; a mark before the first word is no pause."""
    marks: list[str] = []
    for token in tokens:
        if token.spoken:
            marks.append("")
        elif marks:
            marks[-1] = max(marks[-1], token.pause, key=["", ",", ".", "!", "?"].index)
    return marks

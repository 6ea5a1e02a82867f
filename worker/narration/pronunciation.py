"""A chapter's own dictionary: words, and how they are written to be said."""

import re
from collections.abc import Mapping

from worker.engine.text.override import OVERRIDE, without_overrides

_WORD = r"[0-9A-Za-zÀ-ÖØ-öø-ɏ]"  # a Latin word ends where no such character follows


class Pronunciations:
    """Replaces words: those with Latin edges as whole words, Chinese ones wherever they stand; the longest first.

    A word in lower case is found in any case, one with a capital only as it is written.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self._exact = {word: said for word, said in words.items() if word != word.lower()}
        self._any_case = {word: said for word, said in words.items() if word == word.lower()}
        ordered = sorted(filter(str.strip, words), key=len, reverse=True)
        found = "|".join(_found(word, any_case=word in self._any_case) for word in ordered)
        self._pattern = re.compile(rf"(?P<override>{OVERRIDE.pattern})|(?P<known>{found})") if ordered else None

    def said(self, text: str) -> tuple[str, str]:
        """Return the text as the engine is to get it, and as it is written if that differs."""
        spoken = self._pattern.sub(self._replace, text) if self._pattern else text
        written, _ = without_overrides(text)
        return spoken, written if written != spoken else ""

    def _replace(self, match: re.Match[str]) -> str:
        if match["override"]:
            return match[0]
        word = match[0]
        said = self._exact.get(word) or self._any_case.get(word.lower(), word)
        return f"[{word}]({said})" if said.startswith("/") and said.endswith("/") and len(said) > 1 else said


def words_in(words: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the words that marked text may have: each chapter keeps its own, and a dictionary may be long."""
    bare = _bare(text)
    return {word: said for word, said in words.items() if _bare(word) in bare}


def _bare(text: str) -> str:
    """Without what may stand between the letters of a word: blanks, the ends of lines, backslashes."""
    return "".join(text.replace("\\", "").split()).casefold()


def _found(word: str, *, any_case: bool) -> str:
    pattern = f"(?i:{re.escape(word)})" if any_case else re.escape(word)
    before = rf"(?<!{_WORD})" if re.match(_WORD, word) else ""
    after = rf"(?!{_WORD})" if re.match(_WORD, word[-1]) else ""
    return f"{before}{pattern}{after}"

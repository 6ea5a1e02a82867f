"""Han characters to words and pinyin, as the model's own front end does it: jieba cuts, CC-CEDICT and pypinyin read.

Both libraries are used by their data. jieba would write a cache file into the temporary folder, log, and take twice as
long. pypinyin_dict would change pypinyin's dictionary for everything in the process, the builtin engine too; its module
also takes 2 s to import where no compiled file lies beside it, against 0.1 s for finding its entries in the text.
"""

import importlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

from worker.engine.emotivoice.frontend.syllables import numbered
from worker.engine.errors import EngineUnavailable

_LONGEST_CUT = 500  # characters that jieba sees at once: its time grows with the square where it knows no word
_ENTRY = re.compile(r"'([^']+)': (\[\['.*\]\])")
_FIRST_READING = re.compile(r"\['([^']*)'")  # [['xíng', 'háng'], ['rén']]: xíng, rén


def load() -> None:
    """Read the dictionaries now: half a second that the first utterance does not wait."""
    _cut()("你好")
    _phrases()


def words(text: str) -> Iterator[str]:
    """Cut Han characters into words."""
    cut = _cut()
    for start in range(0, len(text), _LONGEST_CUT):
        yield from cut(text[start : start + _LONGEST_CUT])


@lru_cache(maxsize=20_000)
def reading(word: str) -> tuple[str | None, ...]:
    """Each character's syllable with its tone digit, ü as v; None where no dictionary has one."""
    found: list[str | None] = []
    while len(found) < len(word):
        found += _longest_phrase(word, len(found)) or [_character(word[len(found)])]
    return tuple(found)


def _longest_phrase(word: str, start: int) -> list[str] | None:
    for end in range(len(word), start + 1, -1):
        phrase = word[start:end]
        if phrase in _phrases():
            return [numbered(pinyin) for pinyin in _FIRST_READING.findall(_phrases()[phrase])]
        if phrase in PHRASES_DICT:
            return [numbered(readings[0]) for readings in PHRASES_DICT[phrase]]
    return None


def _character(character: str) -> str | None:
    readings = PINYIN_DICT.get(ord(character))
    return numbered(readings.partition(",")[0]) if readings else None


@cache
def _phrases() -> dict[str, str]:
    """CC-CEDICT's phrases, each with its readings as they are written in the file: pypinyin's own come second."""
    files = sorted((_package("pypinyin_dict") / "phrase_pinyin_data").glob("cc_cedict_*.py"))
    phrases = dict(entry for file in files for entry in _ENTRY.findall(file.read_text("utf-8")))
    if not phrases:
        raise EngineUnavailable("the Python package pypinyin_dict has no phrases of CC-CEDICT where they used to be")
    return phrases


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise EngineUnavailable(f"the Python package {name} is missing")
    return Path(spec.origin).parent


@cache
def _cut() -> Callable[[str], Iterable[str]]:
    """jieba's tokenizer with a dictionary that is read here."""
    fields = (_package("jieba") / "dict.txt").read_text("utf-8").split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source has escapes that Python no longer likes
        jieba: Any = importlib.import_module("jieba")
    tokenizer = jieba.Tokenizer()
    counts = list(map(int, fields[1::3]))
    tokenizer.FREQ, tokenizer.total, tokenizer.initialized = (
        dict(zip(fields[::3], counts, strict=True)),
        sum(counts),
        True,
    )
    tokenizer.get_DAG = _graph(tokenizer.FREQ)
    return tokenizer.cut


def _graph(frequencies: dict[str, int]) -> Callable[[str], dict[int, list[int]]]:
    """What jieba's get_DAG computes, without an entry for each beginning of each word."""
    longest: dict[str, int] = {}  # word length by the first two characters
    for word in frequencies:
        if len(word) > longest.get(word[:2], 0):
            longest[word[:2]] = len(word)

    def graph(sentence: str) -> dict[int, list[int]]:
        ends: dict[int, list[int]] = {}
        for start in range(len(sentence)):
            last = min(start + longest.get(sentence[start : start + 2], 1), len(sentence))
            found = [end - 1 for end in range(start + 1, last + 1) if sentence[start:end] in frequencies]
            ends[start] = found if found else [start]
        return ends

    return graph

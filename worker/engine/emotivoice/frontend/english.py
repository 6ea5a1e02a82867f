"""English words to ARPAbet: CMUdict, then a word with a known ending taken off, then the network that reads letters."""

import lzma
import re
from functools import cache, lru_cache
from pathlib import Path

from worker.engine.emotivoice.frontend.g2p import CODES, LettersToPhones

_DATA = Path(__file__).with_name("data")
_PHONES = {code: phone for phone, code in CODES.items()}
# Initials in small letters. Where a letter is doubled it may as well be a sound, as in mmm and pfft: those are listed.
_INITIALS = re.compile(r"(?!.*(.)\1)[b-df-hj-np-tv-xz]{2,5}|https|css|ssh|ssl|ssd|dll|llm|ppt|ttl|xss")
_HISSING = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH"))
_LONGEST_KNOWN = 40  # letters; CMUdict has none of more
_ENDINGS = {  # contractions; 's and 'd depend on the sound before
    "n't": ("AH0", "N", "T"),
    "'ll": ("AH0", "L"),
    "'ve": ("AH0", "V"),
    "'re": ("ER0",),
    "'m": ("AH0", "M"),
    "'s": (),
    "'d": (),
}


def load() -> None:
    """Read dictionary and network now."""
    _dictionary()
    _network()


def is_known(word: str) -> bool:
    """Whether the dictionary has a lower-case word."""
    return word in _dictionary()


@lru_cache(maxsize=20_000)
def pronounce(word: str, *, as_letter: bool = False) -> tuple[str, ...]:
    """ARPAbet with stress digits for a word of ASCII letters and apostrophes; empty where it has no letter.

    Args:
        as_letter: say a lone A by its name, not as the article.
    """
    word = word.lower()
    if as_letter and word == "a":
        return ("EY1",)
    return _known(word) or _with_ending(word) or _known(word.strip("'")) or _read(word)


def _known(word: str) -> tuple[str, ...]:
    return tuple(map(_PHONES.__getitem__, _dictionary().get(word, "")))


def _with_ending(word: str) -> tuple[str, ...]:
    """A word such as mustn't've: what stays when endings are taken off until the dictionary has it, and the endings."""
    first_letter, end = len(word) - len(word.lstrip("'")), len(word)
    endings: list[str] = []
    while not (endings and end <= _LONGEST_KNOWN and (word[:end] == "a" or is_known(word[:end]))):
        ending = next((each for each in _ENDINGS if word.endswith(each, first_letter + 1, end)), None)
        if ending is None:
            break
        endings.append(ending)
        end -= len(ending)
    if not endings:
        return ()
    said = list(pronounce(word[:end], as_letter=True))
    for ending in reversed(endings):
        said += _ENDINGS[ending] or _after(said[-1], ending)
    return tuple(said)


def _after(last: str, ending: str) -> tuple[str, ...]:
    if ending == "'s":
        return ("IH0", "Z") if last in _HISSING else ("S",) if last in _VOICELESS else ("Z",)
    return ("AH0", "D") if last in ("T", "D") else ("D",)


def _read(word: str) -> tuple[str, ...]:
    letters = word.replace("'", "")
    if not letters:
        return ()
    phones = () if _INITIALS.fullmatch(letters) else _network().read(letters)
    return phones or tuple(phone for letter in letters for phone in pronounce(letter, as_letter=True))


@cache
def _dictionary() -> dict[str, str]:
    """Word -> a letter for each phoneme."""
    fields = lzma.decompress((_DATA / "cmudict.txt.xz").read_bytes()).decode("ascii").split()
    return dict(zip(fields[::2], fields[1::2], strict=True))


@cache
def _network() -> LettersToPhones:
    return LettersToPhones(_DATA / "g2p.f16.gz")

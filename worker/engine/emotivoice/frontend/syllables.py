"""Pinyin syllables to the model's tokens: an initial, where there is one, and a final with its tone: hao3 -> h ao3.

The spelling is the one the model was trained with. It writes finals in full (gui -> g uei), has finals of its own for
the hissing syllables (zi -> z ii, zhi -> zh iii), and one oddity to keep: yue is y ve, not ve.
"""

import re
import unicodedata
from collections.abc import Container
from functools import lru_cache

_WHOLE = {
    **{f"{initial}i": (initial, "ii") for initial in ("z", "c", "s", "r")},
    **{f"{initial}i": (initial, "iii") for initial in ("zh", "ch", "sh")},
    **{f"y{final}": ("", f"i{final}") for final in ("a", "an", "ang", "ao", "e", "ong", "ou")},
    **{f"y{final}": ("", final) for final in ("i", "in", "ing")},
    **dict.fromkeys(("yu", "yv"), ("", "v")),
    **dict.fromkeys(("yuan", "yvan"), ("", "van")),
    **dict.fromkeys(("yun", "yvn"), ("", "vn")),
    "yve": ("", "ve"),
    "wu": ("", "u"),
    "n": ("", "en"),  # said without a vowel; the model learnt them with one
    "ng": ("", "eng"),
}
_IN_FULL = {"ui": "uei", "iu": "iou", "un": "uen", "ue": "ve"}
# Syllables without a token, and the nearest with one: 呣 and 呒 (m), 噷 (hm), 哼 (hng), 欸 (ê), 𥦷 (wong).
_NEAREST = {"m": "en", "hm": "hen", "hng": "heng", "ê": "ei", "wong": "weng"}
_TONES = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
NEUTRAL_TONE = "5"


@lru_cache(maxsize=5000)
def numbered(pinyin: str) -> str:
    """Pinyin as dictionaries write it, with a tone digit: hǎo -> hao3, nǚ -> nv3, le -> le5."""
    letters, tone = "", NEUTRAL_TONE
    for character in unicodedata.normalize("NFD", pinyin):
        if character in _TONES:
            tone = _TONES[character]
        else:
            letters += character
    return unicodedata.normalize("NFC", letters).replace("ü", "v") + tone


def syllable_tokens(syllable: str, known: Container[str]) -> tuple[str, ...] | None:
    """The tokens of a syllable such as hao3, or of the nearest that can be said; None for what is no syllable."""
    base, tone = syllable[:-1], syllable[-1]
    for each in (base, _NEAREST.get(base, base)):
        tokens = _split(each, tone)
        if tokens and all(token in known for token in tokens):
            return tokens
    return None


def _split(base: str, tone: str) -> tuple[str, ...] | None:
    if base in _WHOLE:
        initial, final = _WHOLE[base]
        return tuple(filter(None, (initial, final + tone)))
    curled = "r" if base.endswith("r") else ""  # er, and finals such as ar
    base = base.removesuffix("r")
    if base.startswith("w"):
        base = "u" + base[1:]
    elif re.match("[jqx]u", base):
        base = f"{base[0]}v{base[2:]}"
    match = re.fullmatch(r"([^aeiouv]*)([aeiouv].*)", base)
    if match is None:
        return None
    initial, final = match.groups()
    return tuple(filter(None, (initial, _IN_FULL.get(final, final) + curled + tone)))

"""The sounds that a writer gives a word: [行](/xing2/), [Emoti](/IH0 M OW1 T IY0/), or the model's own tokens."""

import re
import unicodedata
from collections.abc import Container

from worker.engine.emotivoice.frontend.marks import INSIDE_WORD
from worker.engine.emotivoice.frontend.syllables import syllable_tokens
from worker.engine.errors import UnspeakableText
from worker.engine.text.language import Language

ALLOWED = (
    "allowed are ARPAbet with a stress digit on vowels (HH AH0 L OW1), pinyin with a tone digit from 1 to 5 (ni3 hao3) "
    "and the model's own tokens (h ao3 sp1)"
)
_ARPABET = re.compile(r"\[?([A-Z]{1,2}[0-2]?)\]?")
_SYLLABLE = re.compile(r"[a-zêü]+[1-5]")
_BARE_FINAL = re.compile("[iuv]")  # no pinyin syllable begins so, tokens do: i3, uo1
_MARK = re.compile(r"(?:eng)?sp\d|cn_eng_sp|eng_cn_sp|[.?!]")
_SOUNDLESS = re.compile(r"_|<.*>|uncased\d+")


def sounds(word: str, phonemes: str, known: Container[str]) -> tuple[tuple[str, ...], Language]:
    """The tokens that an override stands for, and the language it sounds like.

    Pinyin syllables get the mark between them that the syllables of a word have; tokens are taken as they are.

    Raises:
        UnspeakableText: a symbol is none of the model's, or there is nothing that sounds.
    """
    symbols = [_tokens(symbol, known) for symbol in unicodedata.normalize("NFC", phonemes).split()]
    for symbol, tokens in zip(phonemes.split(), symbols, strict=True):
        if not tokens:
            raise UnspeakableText(f"the phonemes of {word!r} hold {symbol!r}, which this model can't say; {ALLOWED}")
    found = [tokens for tokens in symbols if tokens]
    if all(_MARK.fullmatch(token) for tokens in found for token in tokens):
        raise UnspeakableText(f"the phonemes of {word!r} hold no sound; {ALLOWED}")
    if all(_is_syllable(symbol) or _MARK.fullmatch(symbol) for symbol in phonemes.split()):
        found = _joined(found)
    flat = tuple(token for tokens in found for token in tokens)
    return flat, "en" if any(token.startswith("[") for token in flat) else "zh"


def _tokens(symbol: str, known: Container[str]) -> tuple[str, ...] | None:
    match = _ARPABET.fullmatch(symbol)
    if match and f"[{match[1]}]" in known:
        return (f"[{match[1]}]",)
    if symbol in known:
        return None if _SOUNDLESS.fullmatch(symbol) else (symbol,)
    if _SYLLABLE.fullmatch(symbol):
        return syllable_tokens(symbol.replace("ü", "v"), known)
    return None


def _is_syllable(symbol: str) -> bool:
    return _SYLLABLE.fullmatch(symbol) is not None and not _BARE_FINAL.match(symbol)


def _joined(symbols: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    joined: list[tuple[str, ...]] = []
    for tokens in symbols:
        if joined and not _MARK.fullmatch(joined[-1][0]) and not _MARK.fullmatch(tokens[0]):
            joined.append((INSIDE_WORD,))
        joined.append(tokens)
    return joined

"""The language of a text, as far as it is Chinese or English."""

import re

_SAMPLE = 50_000
_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][a-z]+)?")
_ENGLISH = frozenset(("the", "and", "of", "to", "a", "in", "that", "he", "it", "was", "is", "you", "i", "for", "with"))


def language_of(text: str) -> str:
    """Return `zh`, `en`, or nothing where it is neither or can't be told."""
    sample = text[:_SAMPLE]
    letters = len(_LETTER.findall(sample))
    if not letters or len(_KANA_OR_HANGUL.findall(sample)) > letters / 20:
        return ""
    if len(_HAN.findall(sample)) > letters / 5:
        return "zh"
    words = [word.lower() for word in _WORD.findall(sample)]
    common = sum(word in _ENGLISH for word in words)
    return "en" if common > len(words) / 10 else ""

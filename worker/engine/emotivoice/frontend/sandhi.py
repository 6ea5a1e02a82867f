"""Mandarin tones as they change in speech: 你好 ni2 hao3, 一个 yi2 ge4, 不是 bu2 shi4. An option: see Frontend."""

from collections.abc import Sequence

_DIGITS = frozenset("零〇一二三四五六七八九十幺两点百千万亿")
_COUNTED_BEFORE = frozenset("第初十百零〇二三四五六七八九点")  # 第一, 十一, 二点一: 一 is a numeral there
_DATES = frozenset("月号日")


def sandhi(words: Sequence[tuple[str, Sequence[str]]]) -> list[list[str]]:
    """Change the tones of a stretch of speech without a pause.

    Args:
        words: each word's characters, and a syllable with its tone digit for each, such as hao3.
    """
    text = "".join(characters for characters, _ in words)
    syllables = [syllable for _, each in words for syllable in each]
    for i, character in enumerate(text):
        if character == "不":
            syllables[i] = _negation(syllables, text, i)
        elif character == "一":
            syllables[i] = _one(syllables, text, i)
    ends: list[int] = []
    for characters, _ in words:
        ends.append((ends[-1] if ends else 0) + len(characters))
    _third_tones(syllables, ends)
    return [syllables[end - len(characters) : end] for (characters, _), end in zip(words, ends, strict=True)]


def _with_tone(syllable: str, tone: str) -> str:
    return syllable[:-1] + tone


def _is_between_twins(text: str, i: int) -> bool:
    return 0 < i < len(text) - 1 and text[i - 1] == text[i + 1]


def _negation(syllables: Sequence[str], text: str, i: int) -> str:
    if _is_between_twins(text, i):  # 好不好
        return _with_tone(syllables[i], "5")
    falling = i + 1 < len(syllables) and syllables[i + 1].endswith("4")
    return _with_tone(syllables[i], "2") if falling else syllables[i]


def _one(syllables: Sequence[str], text: str, i: int) -> str:
    before, after = text[i - 1 : i], text[i + 1 : i + 2]
    if _is_between_twins(text, i) and before not in _DIGITS:  # 看一看
        return _with_tone(syllables[i], "5")
    counts = after in ("百", "千", "万", "亿")  # 一百 is yi4 bai3, but 二一 and 一二 are numerals
    numeral = before in _COUNTED_BEFORE or (after in _DIGITS and not counts) or after in _DATES
    if not after or (before and numeral) or (numeral and not counts):
        return _with_tone(syllables[i], "1")
    return _with_tone(syllables[i], "2" if syllables[i + 1][-1] in "45" else "4")


def _third_tones(syllables: list[str], ends: Sequence[int]) -> None:
    """Of two third tones the first rises: inside the words first, then from the last word to the first."""
    third = [syllable.endswith("3") for syllable in syllables]
    for i in range(len(syllables) - 1):
        if third[i] and third[i + 1] and i + 1 not in ends:
            syllables[i] = _with_tone(syllables[i], "2")
    for end in reversed(ends[:-1]):
        if syllables[end - 1].endswith("3") and syllables[end].endswith("3"):
            syllables[end - 1] = _with_tone(syllables[end - 1], "2")

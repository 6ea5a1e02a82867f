"""Han characters to pinyin with tone digits, after tone sandhi: 你好 -> ni2 hao3, 一个 -> yi2 ge4, 不是 -> bu2 shi4."""

from pypinyin import Style, lazy_pinyin

from worker.engine.errors import UnspeakableText


def pinyin(text: str) -> list[str]:
    """One syllable for each character of a phrase of Han characters; the neutral tone is 5 and ü is v.

    Raises:
        UnspeakableText: the dictionary has no reading for a character.
    """
    syllables = lazy_pinyin(
        text, style=Style.TONE3, errors=_refuse, v_to_u=False, neutral_tone_with_five=True, tone_sandhi=True
    )
    return [syllable.replace("ê", "ei") for syllable in syllables]


def _refuse(characters: str) -> str:
    raise UnspeakableText(f"no reading is known for {characters!r}")

"""What stands between two words: the model's marks for the gap that punctuation, blanks and languages make.

The rules are those of the original front end. It cuts a text into Chinese runs, each with the punctuation behind it,
and the rest. A Chinese run ends with sp1 or sp3, and that stays the mark where English follows: never cn_eng_sp.
"""

import re

from worker.engine.text.characters import PAUSES, SENTENCE_ENDS
from worker.engine.text.language import Language

INSIDE_WORD = "sp0"
AFTER_WORD = "sp1"
AT_PUNCTUATION = "sp3"
ENGLISH_WORD, ENGLISH_PUNCTUATION = "engsp1", "engsp4"
ENGLISH_TO_CHINESE = "eng_cn_sp"
USED = (INSIDE_WORD, AFTER_WORD, AT_PUNCTUATION, ENGLISH_WORD, ENGLISH_PUNCTUATION, ENGLISH_TO_CHINESE)

_CHINESE = "。，？！；：“”‘’《》〈〉【】『』—…、（）"  # what the original takes for punctuation beside Chinese
_RESTING = "".join(re.escape(mark) for mark in SENTENCE_ENDS + PAUSES if not mark.isspace())
_DASH = r"\s[-~～/]\s"
_CHINESE_REST = re.compile(rf"[{_CHINESE}{_RESTING}]|{_DASH}")
_ENGLISH_REST = re.compile(rf"[-‐‑‒{_RESTING}]|{_DASH}")
_BEHIND_CHINESE = re.compile(rf"[ {_CHINESE}]*[{_CHINESE}]")


def mark(before: Language, after: Language, gap: str) -> str:
    """The mark between two words with this written between them."""
    if before == after == "zh":
        return AT_PUNCTUATION if _CHINESE_REST.search(gap) else AFTER_WORD
    if before == after == "en":
        return ENGLISH_PUNCTUATION if _ENGLISH_REST.search(gap) else ENGLISH_WORD
    if before == "en":
        return ENGLISH_TO_CHINESE
    return AT_PUNCTUATION if _BEHIND_CHINESE.match(gap) else AFTER_WORD

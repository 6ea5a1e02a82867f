"""One front end for all its tests: its dictionaries are read once."""

import re
from functools import cache

from tests.worker.engine.emotivoice.tokenlist import TOKENS
from worker.engine.emotivoice.frontend import Frontend, Phonemes


@cache
def frontend(*, tone_sandhi: bool = False) -> Frontend:
    return Frontend(TOKENS, tone_sandhi=tone_sandhi)


def phonemes(text: str) -> Phonemes:
    return frontend().phonemes(text)


def said(text: str) -> str:
    """The tokens between the edges; ARPAbet in one pair of brackets for each word, which reads better."""
    edge, *tokens, last = phonemes(text).tokens
    assert edge == last == "<sos/eos>"
    return compact(" ".join(tokens))


def compact(tokens: str) -> str:
    return re.sub(r"\] \[", " ", tokens)

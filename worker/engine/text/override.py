"""How a writer says a word's sounds: [行](/xing2/), [Emoti](/IH0 M OW1 T IY0/). Only some engines can follow it."""

import re

OVERRIDE = re.compile(r"\[(?P<word>[^\[\]\n]+)\]\(/(?P<phonemes>[^/\n]*)/\)")


def without_overrides(text: str) -> tuple[str, bool]:
    """The text with each override replaced by its word, and whether there was one."""
    plain, count = OVERRIDE.subn(lambda match: match["word"], text)
    return plain, count > 0

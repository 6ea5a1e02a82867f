"""A text to tokens that can be said: overrides are set aside, what no voice of this model can say is taken out."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from worker.engine.text.characters import EMOJI, is_mark, is_readable, tidy
from worker.engine.text.language import Language, main_language
from worker.engine.text.normalization import Token, read
from worker.engine.text.override import OVERRIDE
from worker.engine.text.rules import Reader, Rule

_GREEK_WORD = re.compile("[\u00b5\u0370-\u03ff\u1f00-\u1fff]{2,}")  # a lone letter is said by its name
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_POWER = re.compile(  # one ² or ³ is a symbol with a name
    f"(?<=[0-9])⁺?(?:[{_RAISED}]{{2,}}|[⁰¹⁴-⁹])|⁻[{_RAISED}]+"
)
_YEAR = re.compile(r"(?:[今明去前后]年|公元|年份)(?:[是为：:]|\s)*(?P<n>(?:1[1-9]|20)[0-9]{2})(?![0-9%年]|[.,][0-9])")
_BELOW_ZERO = re.compile(r"(?<=零下)\s?-\s?(?P<number>[0-9]+(?:\.[0-9]+)?)(?![0-9])")  # its minus is said already
_NEGATIVE_POWER = re.compile(r"(?<=[A-Za-z\u0370-\u03ff)\]])\^(?P<exponent>-[0-9]+)")  # of what is no number: s⁻¹


def _behind_base(match: re.Match[str], say: Reader) -> str:
    return say.power("0", match["exponent"]).removeprefix(say.cardinal("0")).strip()


RULES = (
    Rule(_NEGATIVE_POWER, _behind_base),
    Rule(_YEAR, lambda match, say: say.digits(match["n"]), "zh"),
    Rule(_BELOW_ZERO, lambda match, say: say.decimal(match["number"]), "zh"),
)


@dataclass(frozen=True)
class Reading:
    """A tidied text, how it is read, and what was taken out of it or is only looked at."""

    text: str
    tokens: list[Token]
    overrides: dict[int, tuple[str, str]]  # a token's start -> its word and its phonemes
    unspoken: dict[str, None] = field(default_factory=dict[str, None])  # in the order of the text


def read_text(text: str, default: Language = "zh") -> Reading:
    """Read a text of any characters; `default` is the language of one without letters."""
    unspoken: dict[str, None] = {}
    tidied = ""
    held: list[tuple[int, int]] = []
    overrides: dict[int, tuple[str, str]] = {}
    position = 0
    for match in OVERRIDE.finditer(text):
        tidied += _readable_part(text[position : match.start()], unspoken)
        start, position = len(tidied), match.end()
        tidied += tidy(match["word"])
        held.append((start, len(tidied)))
        overrides[start] = match["word"], match["phonemes"]
    tidied += _readable_part(text[position:], unspoken)
    tokens = read(tidied, main_language(tidied, default), held=held, rules=RULES)
    return Reading(tidied, tokens, overrides, unspoken)


def _readable_part(text: str, unspoken: dict[str, None]) -> str:
    """Tidied text whose characters all sound or are marks; a blank stands where others were."""
    text = _POWER.sub(lambda match: f"^{tidy(unicodedata.normalize('NFKC', match[0])).lstrip('+')}", tidy(text))
    text = _GREEK_WORD.sub(lambda match: _without(match[0], unspoken), text)
    unspoken.update((character, None) for character in text if _is_left_out(character))
    return "".join(map(_readable, text))


def _without(characters: str, unspoken: dict[str, None]) -> str:
    unspoken.update(dict.fromkeys(characters))
    return " " * len(characters)


@lru_cache(maxsize=20_000)
def _readable(character: str) -> str:
    return character if is_readable(character) else _equivalent(character) or " "


@lru_cache(maxsize=20_000)
def _is_left_out(character: str) -> bool:
    form = character if is_readable(character) else _equivalent(character)
    return not form or any(map(_is_picture, form))


def _equivalent(character: str) -> str:
    """What a character is a form of, where that can be read: 𝐇 is H, ㊗ is 祝, ٣ is 3."""
    digit = unicodedata.decimal(character, None)
    plain = str(digit) if digit is not None else tidy(unicodedata.normalize("NFKC", character))
    return plain if plain and all(map(is_readable, plain)) else ""


def _is_picture(character: str) -> bool:
    """Whether a mark is more than punctuation: it is not said, and the result tells so."""
    symbol = not character.isascii() and unicodedata.category(character) in ("So", "Sm") and character not in "～〜"
    return is_mark(character) and (symbol or character in EMOJI)

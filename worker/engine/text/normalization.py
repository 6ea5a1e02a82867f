"""Written text to the words that are said: numbers, dates, money, units, abbreviations, in Chinese and English.

The rules are our own. A general normalizer for both languages (wetext 0.1.8) was measured first: 0.6 s to import, 11 ms
a sentence, and it reads ￥1,234.56 as "one yuan, two hundred…", GPT-4 as "GPT minus four" and v2.0.1 as "v two.zero
point one"; it also gives no map from what was written to what is said, which the word timings need.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from worker.engine.errors import UnspeakableText
from worker.engine.text import number_rules, words
from worker.engine.text.characters import (
    LATIN_WORD,
    PAUSES,
    SENTENCE_ENDS,
    is_greek,
    is_han,
    is_latin,
    is_mark,
    require_readable,
    tidy,
)
from worker.engine.text.language import Language, Surroundings, main_language
from worker.engine.text.rules import READERS, Rule


@dataclass(frozen=True)
class Token:
    """A stretch of text and how it is said: Han characters in zh, space-separated ASCII words in en.

    A mark says nothing; its `pause` is "," or one of ".?!" where the voice rests, "" where it does not.
    """

    written: str
    spoken: str
    language: Language
    pause: str = ""
    start: int = field(default=0, compare=False)  # its place in the tidied text; blanks beside it may be included
    end: int = field(default=0, compare=False)


def normalize(text: str, default: Language = "en") -> list[Token]:
    """Read a sentence: its tokens in order, blanks left out.

    Args:
        default: the language of text that has no letters, such as "123".
    Raises:
        UnspeakableText: a character can't be read, or nothing in the text sounds.
    """
    text = tidy(text)
    require_readable(text)
    tokens = read(text, main_language(text, default))
    if not any(token.spoken for token in tokens):
        raise UnspeakableText("nothing can be spoken: the text holds only marks")
    return tokens


def read(text: str, main: Language, *, held: Sequence[tuple[int, int]] = (), rules: Sequence[Rule] = ()) -> list[Token]:
    """Read tidied text whose characters are all readable.

    Args:
        main: the language of the sentence.
        held: spans that the caller says itself; each becomes a token with nothing to say.
        rules: readings to try before those that every engine has.
    Raises:
        UnspeakableText: it holds a Greek word.
    """
    around = Surroundings(text, main)
    claims = _claims(text, around, held, rules)
    shouting = words.is_shouting(text)
    tokens: list[Token] = []
    position = 0
    for start in sorted(claims):
        tokens += _plain(text, position, start, around, shouting=shouting)
        tokens.append(claims[start])
        position = claims[start].end
    tokens += _plain(text, position, len(text), around, shouting=shouting)
    return tokens


def spoken_text(text: str, default: Language = "en") -> str:
    """The words of the text as one line: for logs and tests."""
    runs = groupby(normalize(text, default), key=lambda token: token.language if token.spoken else token.pause)
    parts = [("" if key == "zh" else " ").join(t.spoken or t.pause for t in run) for key, run in runs]
    return " ".join(part.strip() for part in parts if part.strip())


def _claims(
    text: str, around: Surroundings, held: Sequence[tuple[int, int]], rules: Sequence[Rule]
) -> dict[int, Token]:
    """What is held and what the rules read, by its start."""
    claims = {start: Token(text[start:end], "", around.main, start=start, end=end) for start, end in held}
    taken = bytearray(len(text))
    for start, end in held:
        taken[start:end] = b"\x01" * (end - start)
    for rule in (*rules, *words.RULES, *number_rules.RULES):
        for match in rule.pattern.finditer(text):
            start, end = _claimed(match)
            if any(taken[start:end]):
                continue
            language = rule.language or around.language(start, end)
            spoken = rule.read(match, READERS[language])
            claims[start] = Token(text[start:end].strip(), spoken, language, start=start, end=end)
            taken[start:end] = b"\x01" * (end - start)
    return claims


def _claimed(match: re.Match[str]) -> tuple[int, int]:
    return match.span("n") if match.groupdict().get("n") else match.span()


def _plain(text: str, start: int, end: int, around: Surroundings, *, shouting: bool) -> Iterator[Token]:
    """Letters, marks and single symbols between the claims."""
    position, main = start, around.main
    while position < end:
        character = text[position]
        stop = position + 1
        if is_han(character):
            yield Token(character, character, "zh", start=position, end=stop)
        elif is_latin(character):
            match = LATIN_WORD.match(text, position, end)
            stop = match.end() if match else stop
            word = text[position:stop]
            yield Token(word, words.say_word(word, shouting=shouting), "en", start=position, end=stop)
        elif character.isdecimal():  # a form no rule foresaw; ² is a symbol
            yield Token(character, READERS[main].digits(character), main, start=position, end=stop)
        elif is_mark(character):
            yield from _mark(text, position, main)
        else:
            yield _symbol(text, position, around)
        position = stop


def _mark(text: str, position: int, main: Language) -> Iterator[Token]:
    character = text[position]
    if character in SENTENCE_ENDS:
        pause = {"。": ".", "！": "!", "？": "?"}.get(character, character)
    elif character in PAUSES or _is_dash(text, position):
        pause = ","
    elif character.isspace():
        return
    else:
        pause = ""
    yield Token(character, "", main, pause, position, position + 1)


def _is_dash(text: str, position: int) -> bool:
    """A hyphen or tilde that stands between blanks rests like a comma."""
    return (
        text[position] in "-~～/"
        and text[position - 1 : position].isspace()
        and text[position + 1 : position + 2].isspace()
    )


def _symbol(text: str, position: int, around: Surroundings) -> Token:
    character = text[position]
    language = around.language(position, position + 1)
    if not is_greek(character):
        return Token(character, READERS[language].SYMBOLS[character], language, "", position, position + 1)
    neighbours = text[max(0, position - 1) : position] + text[position + 1 : position + 2]
    if any(map(is_greek, neighbours)):
        raise UnspeakableText(f"no voice here reads Greek words; {character!r} stands beside another Greek letter")
    return Token(character, words.GREEK[character.lower()], "en", "", position, position + 1)

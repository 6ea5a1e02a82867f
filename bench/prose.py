"""Prose of any length that nobody has written: sentences of a grammar, each with words of its own."""

import random
from collections.abc import Iterator

_WHO = (
    *("the keeper of the light", "a boy from the harbour", "my grandmother", "the doctor's younger sister", "nobody"),
    *("an old sailor", "the woman at the window", "her brother", "the miller", "two strangers", "a tall captain"),
)
_DID = (
    *("walked down to", "remembered", "had never seen", "wrote a letter about", "looked for", "sold", "dreamed of"),
    *("came back from", "told us of", "was afraid of", "could not leave", "painted", "asked about", "turned from"),
)
_WHAT = (
    *("the empty house", "the river", "a small boat", "the winter road", "the garden behind the church", "the hill"),
    *("the letters in the drawer", "a room without windows", "the market", "the bell", "the long bridge", "the island"),
)
_WHEN = (
    *("in the evening", "before anybody was awake", "that summer", "when the rain had stopped", "for the third time"),
    *("without a word", "as if it were nothing", "on the day after", "long ago", "while the others slept"),
)
_LINKS = (", and ", ", but ", "; ", ", because ", ", although ", ", until ")

PARAGRAPH_CHARACTERS = (120, 480)


def chapters(characters: int, *, count: int, seed: int, first_share: float) -> list[tuple[str, str]]:
    """Return titles and marked texts, of so many characters together; the first has a share of them by itself."""
    rest = (1 - first_share) / (count - 1)
    lengths = [round(characters * first_share), *[round(characters * rest)] * (count - 1)]
    chance = random.Random(seed)
    return [
        (f"Chapter {number}", "\n\n".join([f"# Chapter {number}", *_paragraphs(chance, length)]))
        for number, length in enumerate(lengths, 1)
    ]


def _paragraphs(chance: random.Random, characters: int) -> Iterator[str]:
    written = 0
    while written < characters:
        paragraph, length = "", chance.randint(*PARAGRAPH_CHARACTERS)
        while len(paragraph) < length:
            paragraph = f"{paragraph} {_sentence(chance)}".strip()
        written += len(paragraph) + 2
        yield paragraph


def _sentence(chance: random.Random) -> str:
    clauses = [
        f"{chance.choice(_WHO)} {chance.choice(_DID)} {chance.choice(_WHAT)} {chance.choice(_WHEN)}"
        for _ in range(chance.choice((1, 1, 2)))
    ]
    text = chance.choice(_LINKS).join(clauses)
    return f"{text[0].upper()}{text[1:]}, in the year {chance.randint(1000, 9999)}."

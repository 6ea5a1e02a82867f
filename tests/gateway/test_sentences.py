"""Sentences are cut while they are written: nothing lost, and only where the worker would cut too."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.sentences import (
    ABBREVIATIONS,
    LONGEST_SENTENCE,
    MARK,
    PARAGRAPH_SECONDS,
    PHRASE_SECONDS,
    SENTENCE_SECONDS,
    Gatherer,
    Sentence,
)
from worker.engine.text.segmentation import PAUSE_SECONDS, Pause, split
from worker.engine.text.words import ABBREVIATED

PARTS = (
    "The quick brown fox. ",
    "今天天气真好！",
    "他说：“好。”然后走了。",
    "Dr. Smith paid $3.50 for it; didn't he? ",
    "No. 5 is alive. ",
    "See example.com now. ",
    "J. Smith is here. ",
    "The U.S. The end. ",
    '"Really?" he asked. ',
    '"Yes!" She left. ',
    "wait… what ",
    "Hi :-) there.",
    "1. First point\n",
    "***\n",
    "\n\n",
    "(Yes.) Good. ",
    "[行](/xing2/)。",
    "and so on, etc. And then. ",
)
WRITTEN = st.lists(st.sampled_from(PARTS), min_size=1, max_size=8).map("".join)
SIZES = st.lists(st.integers(1, 7), min_size=1)


def written(text: str, sizes: list[int]) -> Gatherer:
    """Return a gatherer to which the text was given in pieces of these sizes, again and again."""
    gatherer = Gatherer()
    at = n = 0
    while at < len(text):
        size = sizes[n % len(sizes)]
        gatherer.add(text[at : at + size])
        at, n = at + size, n + 1
    return gatherer


def taken(gatherer: Gatherer) -> list[Sentence]:
    found: list[Sentence] = []
    while sentence := gatherer.take():
        found.append(sentence)
    return found


def heard(text: str) -> str:
    """Return what of it can be heard: marks may stand before a cut or behind it."""
    return "".join(re.findall(r"\w", text))


def gathered(text: str) -> list[str]:
    """Return the sentences that are whole as soon as each is, where each comes in one go."""
    gatherer = Gatherer()
    found: list[str] = []
    for character in text:
        gatherer.add(character)
        found += [sentence.text for sentence in taken(gatherer)]
    return found


@given(WRITTEN, SIZES)
def test_no_character_is_lost(text: str, sizes: list[int]) -> None:
    gatherer = written(text, sizes)
    gatherer.flush()

    whole = "".join(sentence.text for sentence in taken(gatherer))
    assert whole.strip() == text.strip()


@given(WRITTEN, SIZES)
@example("wait… what No. etc. And so on. ", [1])
def test_a_cut_is_made_only_where_the_worker_makes_one(text: str, sizes: list[int]) -> None:
    ends: set[str] = set()
    for piece in split(text):
        ends.add(max(ends, key=len, default="") + heard(piece.text))

    so_far = ""
    for sentence in taken(written(text, sizes)):
        so_far += heard(sentence.text)
        assert so_far in ends


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("One. Two", ["One."]),
        ("One.", []),  # 1.5 or One.com may come of it
        ("好。", []),  # a quote may close
        ("好。再", ["好。"]),
        ("好。”再", ["好。”"]),
        ("It is 3.5 metres. Yes", ["It is 3.5 metres."]),
        ("Mr. Smith", []),
        ("A heading\nThen text", ["A heading\n"]),
        ("A line that\ngoes on", []),
        ("Really? he asked", []),
        ("?! What", []),
    ],
)
def test_a_sentence_is_whole_as_soon_as_that_is_sure(text: str, whole: list[str]) -> None:
    assert gathered(text) == whole


def test_what_is_flushed_is_spoken_whole_or_not() -> None:
    gatherer = Gatherer()
    gatherer.add("One. Half a")
    gatherer.flush()

    assert [gatherer.take()] == [Sentence("One. Half a", PHRASE_SECONDS)]
    assert (gatherer.rest, gatherer.take()) == ("", None)


def test_sentences_that_wait_are_spoken_together_but_not_over_a_mark() -> None:
    gatherer = Gatherer()
    gatherer.add("One. Two. Three")
    gatherer.flush()
    gatherer.mark()
    gatherer.add("Four. \n\nFive")

    assert gatherer.take() == Sentence("One. Two. Three", PHRASE_SECONDS)
    assert gatherer.take() is MARK
    assert gatherer.take() == Sentence("Four.", PARAGRAPH_SECONDS)


def test_what_waits_is_not_put_into_one_piece_without_end() -> None:
    gatherer = Gatherer()
    gatherer.add("This is a sentence that says something. " * 100)

    assert all(len(sentence.text) < 400 for sentence in taken(gatherer))


def test_a_text_without_any_mark_is_cut_between_words() -> None:
    gatherer = written("word " * 1000, [7])

    sentences = taken(gatherer)

    assert len(gatherer.rest) <= LONGEST_SENTENCE
    assert all(sentence.text.endswith("word ") for sentence in sentences)
    assert len(sentences) > 3


def test_the_pauses_and_abbreviations_are_the_worker_s() -> None:
    assert {*PAUSE_SECONDS.values()} == {SENTENCE_SECONDS, PARAGRAPH_SECONDS, PHRASE_SECONDS}
    assert PAUSE_SECONDS[Pause.PARAGRAPH] == PARAGRAPH_SECONDS
    assert ABBREVIATED <= ABBREVIATIONS

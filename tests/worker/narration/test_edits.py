"""An edited sentence is spoken again, and nothing else."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from shared.audio_address import audio_address
from shared.speech_length import estimated_seconds
from tests.worker.narration.chapters import chapter, parts, request, reworded, segments, sentence, written
from worker.narration.cuts import LONG_SECONDS

EDITS = 25  # in each of two ways


def addresses(text: str) -> Counter[str]:
    asked = request(text)
    return Counter(
        audio_address(replace(asked, text=one.text), engine_revision="x", parts=one.parts) for one in segments(text)
    )


@pytest.mark.parametrize("way", ["a word", "all of it"])
def test_an_edit_changes_one_segment_and_never_more_than_two(way: str) -> None:
    random = Random(3)
    sentences = chapter(random, 200)
    before = addresses(written(sentences))
    changed: list[int] = []
    for number in random.sample(range(200), EDITS):
        edited = [list(one) for one in sentences]
        place = random.randrange(len(edited[number]))
        old, language = edited[number][place], "en" if edited[number][0][-1] in ".”" else "zh"
        new = reworded(random, old, language) if way == "a word" else sentence(random, language)
        edited[number][place] = new
        changed.append((addresses(written(edited)) - before).total())

    assert max(changed) <= 2
    assert changed.count(1) >= (0.9 if way == "a word" else 0.8) * EDITS


def test_no_segment_is_too_long_nor_is_a_paragraph_cut_that_is_not() -> None:
    sentences = chapter(Random(7), 300)

    found = segments(written(sentences))

    assert len(found) > 300
    assert all(estimated_seconds(segment.text) < 60 for segment in found)
    for paragraph in written(sentences).split("\n\n"):
        if estimated_seconds(paragraph) < LONG_SECONDS * 0.7:  # with its pauses, which are not counted here
            assert len(segments(paragraph)) == 1


@pytest.mark.parametrize("text", ["The same again. " * 200, "很长的故事" * 400, "Ha! " * 500])
def test_a_paragraph_that_repeats_itself_is_cut_all_the_same(text: str) -> None:
    assert all(estimated_seconds(segment.text) < 60 for segment in segments(text))


def test_nothing_is_lost_at_a_cut() -> None:
    text = " ".join(sentence(Random(1), "en") for _ in range(60))

    assert len(segments(text)) > 3
    assert "".join(part.text for part in parts(text)).replace(" ", "") == text.replace(" ", "")

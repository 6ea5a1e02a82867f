"""Subtitles keep the text and its times, in two lines that fit a screen."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from books.editions import Cue
from books.editions.subtitles import LINE_COLUMNS, columns, fitted, shifted, srt, vtt

LONG = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity."
)
CHINESE = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。"


def lines(text: str) -> list[str]:
    return [line for cue in fitted([Cue(0, 10, text)]) for line in cue.text.split("\n")]


def test_srt_numbers_its_cues_and_has_commas_in_its_times() -> None:
    cues = [Cue(0.0, 1.2344, "One."), Cue(3661.5, 3662.0, "Two.")]

    assert srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,234\nOne.\n\n2\n01:01:01,500 --> 01:01:02,000\nTwo.\n\n"
    )  # fmt: skip


def test_vtt_has_its_header_points_and_escapes() -> None:
    assert vtt([Cue(359999.9996, 360000.5, "a < b & c --> d")]) == (
        "WEBVTT\n\n100:00:00.000 --> 100:00:00.500\na &lt; b &amp; c --&gt; d\n\n"
    )


def test_a_sentence_of_two_lines_is_broken_near_its_middle() -> None:
    assert lines("A line of words that is just a bit over one line.") == [
        "A line of words that is",
        "just a bit over one line.",
    ]


def test_a_long_sentence_is_split_at_its_phrases() -> None:
    parts = [cue.text.replace("\n", " ") for cue in fitted([Cue(0, 10, LONG)])]

    assert " ".join(parts) == LONG
    assert all(part[-1] in ",." for part in parts)


def test_chinese_is_split_at_its_marks_and_fits() -> None:
    found = lines(CHINESE)

    assert "".join(found) == CHINESE
    assert all(len(line) <= 21 for line in found)
    assert all(line[-1] in "，。、" for line in found)


def test_a_part_lasts_as_long_as_it_is_of_the_whole() -> None:
    parts = list(fitted([Cue(10.0, 20.0, LONG)]))

    assert parts[0].start_seconds == 10.0
    assert parts[-1].end_seconds == pytest.approx(20.0)
    for part, following in pairwise(parts):
        assert part.end_seconds == following.start_seconds
    widths = [columns(part.text.replace("\n", " ")) for part in parts]
    for part, width in zip(parts, widths, strict=True):
        assert part.end_seconds - part.start_seconds == pytest.approx(10 * width / sum(widths))


def test_a_word_longer_than_a_line_is_broken_all_the_same() -> None:
    found = lines("x" * 100)

    assert "".join(found) == "x" * 100
    assert all(len(line) <= LINE_COLUMNS for line in found)


def test_a_cue_without_text_is_none() -> None:
    assert srt([Cue(0, 1, " \n ")]) == ""


def test_a_chapters_cues_move_to_where_it_begins() -> None:
    assert list(shifted([Cue(1.0, 2.0, "x")], 100.5)) == [Cue(101.5, 102.5, "x")]


@given(st.text(st.sampled_from("ab é1,.!?，。“”（）《》 话说天下\n"), max_size=300))
def test_whatever_the_text_it_is_all_there_and_fits(text: str) -> None:
    found = lines(text)

    assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", text)
    assert all(columns(line) <= LINE_COLUMNS for line in found)

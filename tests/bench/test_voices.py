"""What bench.voices counts, and what it calls missed."""

import pytest

from bench.intelligibility import differences
from bench.voices import Row, summary

ROW = Row("en-slt", "en-rms", 0.6, 0.8, 0.95, (0.5, 0.6), (0.1, 0.15), 5.0)


@pytest.mark.parametrize(
    ("heard", "count"),
    [("the cat sat", 0), ("the cat", 1), ("the fat cat sat", 1), ("a bat sat", 2), ("", 3)],
)
def test_words_that_are_wrong_missing_or_too_many_are_counted(heard: str, count: int) -> None:
    assert differences(["the", "cat", "sat"], heard.split()) == count


@pytest.mark.parametrize(
    ("row", "missed"),
    [
        (ROW, []),
        (Row("en-rms", "en-slt", 0.6, 0.59, 0.95, (0.5, 0.6), (0.1, 0.1), 5.0), ["least rise of a pair"]),
        (Row("en-rms", "en-slt", 0.6, 0.7, 0.95, (0.5, 0.6), (0.1, 0.21), 5.0), ["most word errors more"]),
        (Row("zh-male-1", "zh-male-2", 0.6, 0.7, 0.95, (0.5, 0.6), None, 5.0), []),
        (Row("zh-male-1", "zh-male-2", 0.98, 0.98, 0.95, (0.5, 0.6), None, 5.0), []),
        (Row("zh-male-1", "zh-male-2", 0.98, 0.97, 0.95, (0.5, 0.6), None, 5.0), ["least rise of these"]),
    ],
)
def test_one_pair_that_misses_a_bar_is_enough(row: Row, missed: list[str]) -> None:
    assert [figure.name for figure in summary([ROW, row]) if figure.passed is False] == missed

"""A paragraph that is made to be slow takes its length, not its square."""

import time

import pytest

from tests.worker.narration.chapters import segments

MOST_SECONDS = 30.0  # some take one or two; those that grew with the square took many minutes


@pytest.mark.parametrize(
    "text",
    ['"a," said John. ', "'a' 's' ", "“", "“a”", "‘s’ ", "Ha! ", "[", "\\", "“a” he ", "[voice: x]a", "a\n\n"],
)
def test_a_text_of_many_marks_is_read_in_time(text: str) -> None:
    started = time.monotonic()

    segments(text * (60_000 // len(text)) + "a")

    assert time.monotonic() - started < MOST_SECONDS

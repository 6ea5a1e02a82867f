"""What docs/narration.md shows is what happens."""

import re
from pathlib import Path

import pytest

from shared.jobs import Narration
from tests.worker.narration.chapters import segments
from worker.narration.pauses import SECONDS, Reason

PAGE = (Path(__file__).parents[3] / "docs" / "narration.md").read_text()
EXAMPLES = re.findall(r"```text\n(.*?)```\n\n\| voice.*?\n\|[-|]+\n(.*?)\n\n", PAGE, re.DOTALL)
NARRATION = Narration(dialogue_voice="d", speakers={"John": "m", "Mary": "f", "玛丽": "f"})


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize(("text", "table"), EXAMPLES, ids=["marks", "dialogue"])
def test_an_example_is_read_as_the_page_says(text: str, table: str) -> None:
    heard = [
        [part.voice, part.emotion, part.text, f"{part.pause_seconds or segment.pause_seconds:g}"]
        for segment in segments(text, NARRATION)
        for part in segment.parts
    ]

    assert heard == rows(table)


def test_the_page_has_every_pause() -> None:
    shown = dict(re.findall(r"^\| ([a-z ]+) \| ([\d.]+) \|", PAGE, re.MULTILINE))

    assert shown == {str(reason): f"{SECONDS[reason]:g}" for reason in Reason}

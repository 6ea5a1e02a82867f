"""Blocks: the paragraphs, headings and breaks of a document, and how they become chapters."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from books import marked
from books.errors import BookTooLarge, NoText
from books.manuscript import ReadChapter
from books.reading.options import Limits

_ORNAMENT = re.compile(r"[\s*＊⁂※◇◆○●☆★✦❦~～#=_·•—–-]{1,60}")
_SURELY = re.compile(r"[*＊⁂※◇◆☆★✦❦~～#]|([=_·•—–○●-]\s*){3}")
_TITLE_LENGTH = 100


@dataclass(frozen=True)
class Block:
    """A paragraph or heading of plain text, on one line, or a scene break."""

    kind: Literal["paragraph", "heading", "break"]
    text: str = ""
    level: int = 0

    def marked(self) -> str:
        if self.kind == "break":
            return marked.SCENE_BREAK
        return marked.heading(self.text, self.level) if self.kind == "heading" else marked.paragraph(self.text)


@dataclass
class Start:
    """Where a chapter starts: at the block of this index."""

    index: int
    title: str


class LeftOut(Counter[str]):
    """How many of what were left out."""

    def notes(self) -> list[str]:
        return [f"left out: {what} ({count})" for what, count in self.items()]


def block_of(text: str) -> Block | None:
    """Return a paragraph, or a scene break for an ornament, or None for nothing."""
    line = marked.plain(text)
    if not line:
        return None
    if _ORNAMENT.fullmatch(line) and _SURELY.search(line):
        return Block("break")
    return Block("paragraph", line)


def by_headings(blocks: list[Block]) -> list[Start]:
    """Return the chapters that the headings tell.

    They are those of the first level that occurs twice and mostly has text below it, and those above it: parts that
    only hold chapters are no chapters.
    """
    headings = [(index, block) for index, block in enumerate(blocks) if block.kind == "heading"]
    levels = Counter(block.level for _, block in headings)
    bare = Counter(
        block.level
        for index, block in headings
        if index + 1 < len(blocks) and blocks[index + 1].kind == "heading" and blocks[index + 1].level > block.level
    )
    deepest = min((level for level in levels if levels[level] > 1 and 2 * bare[level] < levels[level]), default=0)
    deepest = deepest or max(levels, default=0)
    return [Start(index, block.text) for index, block in headings if block.level <= deepest]


def without_bare(blocks: list[Block], starts: list[Start]) -> list[Start]:
    """Return the chapters, each that is a heading only become part of the next: `Part One` before `Chapter 1`."""
    kept: list[Start] = []
    waiting: int | None = None
    for number, start in enumerate(starts):
        end = starts[number + 1].index if number + 1 < len(starts) else len(blocks)
        begin = start.index if waiting is None else waiting
        last = number + 1 == len(starts)
        if not last and all(block.kind != "paragraph" for block in blocks[start.index : end]):
            waiting = begin
        else:
            kept.append(Start(begin, start.title))
            waiting = None
    return kept


class Draft:
    """The chapters as they are read, held to the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._length = 0
        self._chapters: list[ReadChapter] = []

    def add_all(self, blocks: list[Block], starts: list[Start], *, before: str) -> None:
        """Add the chapters that start at `starts`; what is before the first is a chapter called `before`."""
        if not starts or starts[0].index > 0:
            starts = [Start(0, before), *starts]
        ends = [start.index for start in starts[1:]] + [len(blocks)]
        for start, end in zip(starts, ends, strict=True):
            self.add(start.title, blocks[start.index : end])

    def add(self, title: str, blocks: Iterable[Block]) -> None:
        """Add a chapter, unless it has no text."""
        blocks = _trimmed(list(blocks))
        if not blocks:
            return
        text = marked.joined([block.marked() for block in blocks])
        self._length += sum(len(block.text) for block in blocks)
        self._chapters.append(ReadChapter(shortened(title or blocks[0].text), text))
        if self._length > self._limits.characters:
            raise BookTooLarge(f"the book has more than the {self._limits.characters} characters that it may have")
        if len(self._chapters) > self._limits.chapters:
            raise BookTooLarge(f"the book has more than the {self._limits.chapters} chapters that it may have")

    def chapters(self) -> tuple[ReadChapter, ...]:
        if not self._chapters:
            raise NoText("the file has no text to speak")
        return tuple(self._chapters)


def shortened(title: str) -> str:
    """Return a title on one line that fits into a table of contents."""
    line = marked.plain(title)
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"


def _trimmed(blocks: list[Block]) -> list[Block]:
    """Return the blocks without scene breaks at the ends, or next to another."""
    kept: list[Block] = []
    for block in blocks:
        if block.kind != "break" or (kept and kept[-1].kind != "break"):
            kept.append(block)
    return kept[:-1] if kept and kept[-1].kind == "break" else kept

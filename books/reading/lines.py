"""Lines of plain text as paragraphs: whether they were broken to a width, and where a paragraph ends."""

import re
from dataclasses import dataclass
from itertools import pairwise

from books.reading.blocks import Block, block_of
from books.reading.headings import Heading, heading_in

_SAMPLE = 5_000
_HAN = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]")
_ENDS = re.compile(r"[.!?。！？…:：—][\"'”’」』）)\]]*$")
_INDENT = re.compile(r"\t|  +|\u3000")
_HYPHEN = re.compile(r"(?<=[\w-])-\n(?=\w)")
_UNDERLINE = re.compile(r"([=*~^#-])\1{2,}")
_LONGEST_TITLE = 60


@dataclass(frozen=True)
class Paragraphs:
    blocks: list[Block]
    keys: dict[int, str]
    """The keys of the headings, by the index of their block."""


def width_of(line: str) -> int:
    """Return the width of a line in cells; a Chinese character has two."""
    return len(line) + len(_HAN.findall(line))


def ends_sentence(line: str) -> bool:
    return _ENDS.search(line.rstrip()) is not None


def wrapping_width(lines: list[str]) -> int:
    """Return the width that lines were broken to, or 0 if each line is a paragraph.

    In broken text most lines that are followed by another are long and end within a sentence.
    """
    pairs = pairwise(lines[:_SAMPLE])
    followed = [line for line, after in pairs if line.strip() and after.strip() and not heading_in(line)]
    if not followed:
        return 0
    width = sorted(map(width_of, followed))[len(followed) * 9 // 10]
    within = sum(not ends_sentence(line) and width_of(line) > 0.6 * width for line in followed)
    return width if width <= 160 and within > 0.3 * len(followed) else 0


def paragraphs(lines: list[str]) -> Paragraphs:
    """Return the paragraphs and headings of plain text."""
    builder = _Builder(wrapping_width(lines))
    for line in lines:
        builder.add(line)
    builder.close()
    return Paragraphs(builder.blocks, builder.keys)


class _Builder:
    def __init__(self, width: int) -> None:
        self.blocks: list[Block] = []
        self.keys: dict[int, str] = {}
        self._width = width
        self._lines: list[str] = []
        self._heading: Heading | None = None
        self._indented = False

    def add(self, line: str) -> None:
        if not line.strip():
            self.close()
            return
        if self._underlines(line):
            return
        indented = _INDENT.match(line) is not None
        if self._lines and (not self._width or self._ended() or (indented and not self._indented)):
            self._close_lines()
        heading = None if self._lines else heading_in(line)
        if heading is not None:
            self.close()
            self._heading = heading
        else:
            self._lines.append(line)
            self._indented = indented

    def _underlines(self, line: str) -> bool:
        """Return whether a line of signs makes the one above it a heading, and if so, make it one."""
        if len(self._lines) != 1 or not _UNDERLINE.fullmatch(line.strip()):
            return False
        text = self._lines[0].strip()
        if abs(width_of(text) - len(line.strip())) > 4:
            return False
        self._lines.clear()
        self._close_heading()
        self._heading = heading_in(text) or Heading(text, text.lower(), 1 if line.strip()[0] in "=*#" else 2)
        return True

    def close(self) -> None:
        """End the paragraph, and a heading before it."""
        self._close_lines()
        self._close_heading()

    def _ended(self) -> bool:
        last = self._lines[-1]
        return width_of(last) < 0.6 * self._width and ends_sentence(last)

    def _close_lines(self) -> None:
        if not self._lines:
            return
        text = _HYPHEN.sub("-", "\n".join(line.strip() for line in self._lines))
        titled = len(self._lines) == 1 and self._heading is not None and self._is_title(text)
        self._lines.clear()
        self._close_heading(text if titled else "")
        block = None if titled else block_of(text)
        if block is not None:
            self.blocks.append(block)

    def _is_title(self, text: str) -> bool:
        """Return whether a line right below a heading is its title: `CHAPTER I.` and `Down the Rabbit-Hole`."""
        return bool(self._width) and width_of(text) <= _LONGEST_TITLE and not ends_sentence(text)

    def _close_heading(self, title: str = "") -> None:
        if self._heading is None:
            return
        text = f"{self._heading.text} {title}".strip()
        self.keys[len(self.blocks)] = self._heading.key
        self.blocks.append(Block("heading", text, self._heading.level))
        self._heading = None

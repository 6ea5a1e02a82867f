"""PDF with a text layer in, chapters out."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median

from books import marked
from books.errors import NoText
from books.manuscript import Manuscript
from books.reading.blocks import Block, Draft, LeftOut, Start, block_of, by_headings, without_bare
from books.reading.drafting import manuscript
from books.reading.headings import heading_in
from books.reading.lines import ends_sentence
from books.reading.options import Limits
from books.reading.pdf_pages import HYPHEN, Bookmark, Line, Pages

_NUMBER = r"(?:\d{1,5}|[ivxlc]{1,7})"
_PAGE_NUMBER = re.compile(rf"(?i)(?:page\s+|第\s*)?[-–—·\s]*{_NUMBER}[-–—·\s]*(?:页|頁|(?:of|/)\s*\d+)?")
_NUMBER_AT_END = re.compile(rf"^{_NUMBER}\s+|\s+{_NUMBER}$", re.IGNORECASE)
_DOT_LEADER = re.compile(r"[.·…](?:\s?[.·…]){3,}\s{0,3}[\divxlc]{1,6}$", re.IGNORECASE)
_END = 120  # characters at a line's end that are looked at: a pattern must not wander through a line of a million
_HYPHENATED = re.compile(r"\b\w++-\w+")
_LONGEST_HEADING = 120
_SCANNED = 20  # characters; a page of a scan has none, or a number


def read_pdf(path: Path, limits: Limits) -> Manuscript:
    pages = Pages(path, limits)
    lines = _bounded(pages, limits)
    filled = sum(sum(len(line.text) for line in page) >= _SCANNED for page in lines)
    if not filled:
        raise NoText(f"the PDF has no text layer, only pictures of its {pages.count} pages; put it through OCR first")
    left_out = LeftOut()
    bookmarks = pages.bookmarks()
    lines = _without_contents(lines, left_out)
    lines = _without_running_heads(lines, {_key(bookmark.title) for bookmark in bookmarks}, left_out)
    blocks, first_blocks = _Builder(lines).read()
    metadata = pages.metadata()
    draft = Draft(limits)
    starts = _by_bookmarks(bookmarks, blocks, first_blocks) or without_bare(blocks, by_headings(blocks))
    draft.add_all(blocks, starts, before=metadata.get("title", ""))
    notes = left_out.notes()
    if filled < pages.count:
        notes.append(f"pages with no or hardly any text, such as pictures: {pages.count - filled} of {pages.count}")
    return manuscript(draft.chapters(), metadata, notes, limits=limits)


def _bounded(pages: Pages, limits: Limits) -> list[list[Line]]:
    """Return the lines of all pages; much more text than a book may have is not gathered first."""
    lines: list[list[Line]] = []
    length = 0
    for page in pages.lines():
        lines.append(page)
        length += sum(len(line.text) for line in page)
        if length > limits.characters:
            break  # the draft refuses it
    return lines


def _without_contents(pages: list[list[Line]], left_out: LeftOut) -> list[list[Line]]:
    """Return the pages without lines that lead over dots to a page number."""
    kept = [[line for line in page if not _DOT_LEADER.search(line.text[-_END:])] for page in pages]
    if dropped := sum(map(len, pages)) - sum(map(len, kept)):
        left_out["lines of the table of contents"] += dropped
    return kept


def _without_running_heads(pages: list[list[Line]], titles: set[str], left_out: LeftOut) -> list[list[Line]]:
    """Return the pages without page numbers, and without what comes again at the top or the bottom of pages.

    The first time a title is there it may be the heading of its chapter, and is kept.
    """
    counts = Counter(key for page in pages for key in {_key(page[index].text) for index in _edges(page)})
    seen: set[str] = set()
    kept: list[list[Line]] = []
    for page in pages:
        dropped: set[int] = set()
        for index in _edges(page):
            text = page[index].text
            key = _key(text)
            may_be_heading = key not in seen and (key in titles or heading_in(text) is not None)
            seen.add(key)
            if _PAGE_NUMBER.fullmatch(text[:_END]) or (counts[key] >= 3 and not may_be_heading):
                dropped.add(index)
        if dropped:
            left_out["page numbers and running heads"] += len(dropped)
        kept.append([line for index, line in enumerate(page) if index not in dropped])
    return kept


def _edges(page: list[Line]) -> list[int]:
    """Return where running heads may be: the first and the last two lines."""
    return sorted({*range(min(2, len(page))), *range(max(0, len(page) - 2), len(page))})


def _key(text: str) -> str:
    """Return what the same running head has in common on all pages: all but the page number."""
    text = text[:_END]
    bare = _NUMBER_AT_END.sub("", text) if heading_in(text) is None else text
    return "".join(bare.split()).casefold()


class _Builder:
    """Joins lines to paragraphs, over the ends of pages too."""

    def __init__(self, pages: list[list[Line]]) -> None:
        every = [line for page in pages for line in page]
        self._pages = pages
        self._size = median(line.size for line in every) if every else 0.0
        self._pitch = 0.0
        self._hyphenated = {word for line in every for word in _HYPHENATED.findall(line.text)}
        self._lines: list[Line] = []
        self._margins = (0.0, 0.0)
        self._blocks: list[Block] = []

    def read(self) -> tuple[list[Block], list[int]]:
        """Return the blocks, and for each page the index of the block that its first line is in."""
        first_blocks: list[int] = []
        for page in self._pages:
            self._margins = _margins([line for line in page if line.size < 1.2 * self._size])
            self._pitch = _pitch(page, self._size)
            for number, line in enumerate(page):
                if self._lines and self._parts(self._lines[-1], line, new_page=number == 0):
                    self._close()
                if number == 0:
                    first_blocks.append(len(self._blocks))
                self._lines.append(line)
            if not page:
                first_blocks.append(len(self._blocks))
        self._close()
        return self._blocks, first_blocks

    def _parts(self, above: Line, below: Line, *, new_page: bool) -> bool:
        """Return whether a paragraph ends between two lines."""
        if above.text.endswith(HYPHEN):
            return False
        left, right = self._margins
        if abs(above.size - below.size) > 0.15 * self._size or heading_in(above.text) or heading_in(below.text):
            return True
        if not new_page and above.bottom - below.bottom > 1.5 * self._pitch:
            return True
        edge = left if new_page else above.left
        indented = edge + 0.7 * self._size < below.left < (left + right) / 2
        # Lines that are all indented are a quotation, or paragraphs of one line each, which end a sentence each.
        also_indented = len(self._lines) == 1 and below.left > left + 0.7 * self._size and ends_sentence(above.text)
        short = above.right < right - 0.15 * (right - left)
        return indented or also_indented or (short and ends_sentence(above.text))

    def _close(self) -> None:
        if not self._lines:
            return
        text = self._joined()
        size = self._lines[0].size
        self._lines = []
        block = block_of(text)
        if block is None:
            return
        heading = heading_in(text)
        if heading is not None:
            block = Block("heading", block.text, heading.level)
        elif size > 1.2 * self._size and len(text) <= _LONGEST_HEADING and block.text:
            block = Block("heading", block.text, 1 if size > 1.8 * self._size else 2)
        self._blocks.append(block)

    def _joined(self) -> str:
        """Return the lines as one text; a word that a line's end broke is whole again, unless it has a hyphen."""
        pieces = [self._lines[0].text]
        for line in self._lines[1:]:
            last = pieces[-1]
            if not last.endswith(HYPHEN):
                pieces += ["\n", line.text]
                continue
            before, after = re.search(r"\w*$", last[-_END:-1]), re.match(r"\w*", line.text)
            word = f"{before[0] if before else ''}-{after[0] if after else ''}"
            pieces[-1] = last[:-1]
            pieces += ["-" if word in self._hyphenated else "", line.text]
        return "".join(pieces).replace(HYPHEN, "-")


def _margins(lines: list[Line]) -> tuple[float, float]:
    if not lines:
        return 0.0, 0.0
    return min(line.left for line in lines), max(line.right for line in lines)


def _pitch(page: list[Line], size: float) -> float:
    """Return the distance of the lines of a paragraph: the lower quartile, since gaps between paragraphs are wider."""
    gaps = sorted(above.bottom - below.bottom for above, below in pairwise(page))
    gaps = [gap for gap in gaps if gap > size / 2]
    return gaps[len(gaps) // 4] if gaps else size


def _by_bookmarks(bookmarks: list[Bookmark], blocks: list[Block], first_blocks: list[int]) -> list[Start]:
    """Return the chapters that the bookmarks tell: those of the first level, or of two if the first is only a frame."""
    top = [bookmark for bookmark in bookmarks if bookmark.depth == 0]
    starts: dict[int, str] = {}
    for bookmark in top if len(top) > 2 else bookmarks:
        page = bookmark.page
        begin = first_blocks[page] if page < len(first_blocks) else len(blocks)
        end = first_blocks[page + 1] + 1 if page + 1 < len(first_blocks) else len(blocks)
        title = _key(marked.plain(bookmark.title))
        index = next((i for i in range(begin, min(end, len(blocks))) if _key(blocks[i].text) == title), None)
        if index is not None and blocks[index].kind == "paragraph":
            blocks[index] = Block("heading", blocks[index].text, 1)
        at = begin if index is None else index
        if at < len(blocks):
            starts.setdefault(at, bookmark.title)
    return [Start(index, starts[index]) for index in sorted(starts)]

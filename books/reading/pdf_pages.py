"""The lines and bookmarks of a PDF, as PDFium finds them."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# pypdfium2 has no types; this is its only home.

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pypdfium2

from books.errors import BookTooLarge, BrokenBook, EncryptedBook
from books.reading.options import Limits

HYPHEN = "\ufffe"  # PDFium's sign for a hyphen that ends a line; the next line follows at once
_FIELDS = {"Title": "title", "Author": "author", "Subject": "description"}
_MOST_BOOKMARKS = 20_000


@dataclass(frozen=True)
class Line:
    """A line of a page, in points from the left and the bottom of the page."""

    text: str
    left: float
    right: float
    bottom: float
    size: float
    """The height of its first character."""


@dataclass(frozen=True)
class Bookmark:
    title: str
    page: int
    depth: int


class Pages:
    """An open PDF."""

    def __init__(self, path: Path, limits: Limits) -> None:
        try:
            self._document = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            raise _translated(str(error)) from error
        self.count = len(self._document)
        if self.count > limits.pages:
            raise BookTooLarge(f"the PDF has {self.count} pages; a book may have {limits.pages}")

    def metadata(self) -> dict[str, str]:
        found = self._document.get_metadata_dict(skip_empty=True)
        return {name: str(found[key]) for key, name in _FIELDS.items() if key in found}

    def bookmarks(self) -> list[Bookmark]:
        """Return the bookmarks of the first two levels that point to a page."""
        logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of each bookmark below the second level
        found: list[Bookmark] = []
        for bookmark in self._document.get_toc(max_depth=2):
            destination = bookmark.get_dest()
            page = None if destination is None else destination.get_index()
            if page is not None and 0 <= page < self.count:
                found.append(Bookmark(bookmark.get_title(), page, bookmark.level))
            if len(found) > _MOST_BOOKMARKS:
                raise BookTooLarge(f"the PDF has more than {_MOST_BOOKMARKS} bookmarks")
        return found

    def lines(self) -> Iterator[list[Line]]:
        """Yield the lines of each page. A page that PDFium can't load has none."""
        for number in range(self.count):
            try:
                page = self._document[number]
            except pypdfium2.PdfiumError:
                yield []
                continue
            text_page = page.get_textpage()
            yield _lines_of(text_page)
            text_page.close()
            page.close()


def _lines_of(text_page: pypdfium2.PdfTextPage) -> list[Line]:
    text = text_page.get_text_range()
    lines: list[Line] = []
    start = 0
    for raw in text.replace(HYPHEN, f"{HYPHEN}\n").replace("\r\n", "\n\r").split("\n"):
        line = raw.removeprefix("\r")
        start += 2 * (len(raw) - len(line))
        if line.strip(f" \t{HYPHEN}"):
            lines.append(_line(text_page, line, start))
        start += len(line)
    return lines


def _line(text_page: pypdfium2.PdfTextPage, text: str, start: int) -> Line:
    blank = len(text) - len(text.lstrip())
    end = start + len(text.rstrip(f" {HYPHEN}")) - 1
    most = text_page.count_chars() - 1  # characters outside the 16-bit range are counted twice
    left, bottom, _, top = text_page.get_charbox(min(start + blank, most), loose=True)
    right = text_page.get_charbox(min(end, most), loose=True)[2]
    return Line(text.strip(), left, right, bottom, top - bottom)


def _translated(reason: str) -> EncryptedBook | BrokenBook:
    if "password" in reason.lower() or "security" in reason.lower():
        return EncryptedBook("the PDF is protected by a password; a book must be without one")
    return BrokenBook("the PDF is damaged or incomplete")

"""A book file in, a manuscript out, in this process: for files that are trusted. `child.read_safely` is for others."""

from pathlib import Path

from books.errors import BookTooLarge
from books.manuscript import Manuscript
from books.reading.kind import kind_of
from books.reading.options import Limits, ReadingOptions


def read(path: Path, options: ReadingOptions | None = None, *, limits: Limits | None = None) -> Manuscript:
    """Return what a book file says.

    Raises:
        UnreadableBook: one of its kinds, with a sentence for the one who sent the file.
    """
    options, limits = options or ReadingOptions(), limits or Limits()
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise BookTooLarge(f"the file has {size} bytes; a book may have {limits.file_bytes}")
    kind = kind_of(path)
    if kind == "epub":
        from books.reading.epub import read_epub

        return read_epub(path, options, limits)
    if kind == "docx":
        from books.reading.docx import read_docx

        return read_docx(path, options, limits)
    if kind == "pdf":
        from books.reading.pdf import read_pdf

        return read_pdf(path, limits)
    return _read_text(path.read_bytes(), kind, options, limits)


def _read_text(data: bytes, kind: str, options: ReadingOptions, limits: Limits) -> Manuscript:
    if kind == "html":
        from books.reading.html import read_html

        return read_html(data, options, limits)
    if kind == "markdown":
        from books.reading.markdown import read_markdown

        return read_markdown(data, options, limits)
    from books.reading.plain_text import read_plain_text

    return read_plain_text(data, limits)

"""Book files in, manuscripts out: EPUB, DOCX, PDF, HTML, Markdown and plain text."""

from books.errors import UnreadableBook
from books.reading.child import read_safely
from books.reading.options import Limits, ReadingOptions
from books.reading.reader import read

__all__ = ["Limits", "ReadingOptions", "UnreadableBook", "read", "read_safely"]

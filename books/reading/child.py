"""Read a book that a stranger sent, in a process that may only use so much."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from books.errors import BookTooLarge, BrokenBook, UnreadableBook
from books.manuscript import Manuscript
from books.reading.options import Limits, ReadingOptions
from books.reading.passing import read_result
from sandbox import MIB, out_of_time, run


def read_safely(
    path: Path,
    options: ReadingOptions | None = None,
    *,
    limits: Limits | None = None,
    check: Callable[[], None] = lambda: None,
) -> Manuscript:
    """Return what a book file says. Time and memory are bounded, whatever the file holds.

    Only between Markdown and plain text does the name of the file count: keep its suffix.

    Args:
        check: called every second while the book is read; what it raises ends that.
    Raises:
        UnreadableBook: one of its kinds, with a sentence for the one who sent the file.
    """
    options, limits = options or ReadingOptions(), limits or Limits()
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise BookTooLarge(f"the file has {size} bytes; a book may have {limits.file_bytes}")
    with TemporaryDirectory(prefix="book-") as folder:
        result = Path(folder) / "manuscript.jsonl"
        request: dict[str, object] = {
            "path": str(path.resolve()),
            "result": str(result),
            "options": asdict(options),
            "limits": asdict(limits),
        }
        status = run("books.reading", request, folder, limits.bounds, check=check)
        try:
            return read_result(result)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _ending(status, limits) from error


def _ending(status: int, limits: Limits) -> UnreadableBook:
    """Return why there is no result."""
    if out_of_time(status):
        return BookTooLarge(f"reading the book takes longer than the {limits.cpu_seconds} seconds allowed")
    memory = limits.memory_bytes // MIB
    return BrokenBook(f"the file is damaged, or reading it takes more than the {memory} MiB of memory allowed")

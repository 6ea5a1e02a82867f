"""Read a book that a stranger sent, in a process that may only use so much."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import books
from books.errors import BookTooLarge, BrokenBook, UnreadableBook
from books.manuscript import Manuscript
from books.reading.options import MIB, Limits, ReadingOptions
from books.reading.passing import read_result

_ROOT = Path(books.__file__).resolve().parent.parent


def read_safely(path: Path, options: ReadingOptions | None = None, *, limits: Limits | None = None) -> Manuscript:
    """Return what a book file says. Time and memory are bounded, whatever the file holds.

    The child has none of our environment, so no secret either. Only between Markdown and plain text does the name of
    the file count: keep its suffix.

    Raises:
        UnreadableBook: one of its kinds, with a sentence for the one who sent the file.
    """
    options, limits = options or ReadingOptions(), limits or Limits()
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise BookTooLarge(f"the file has {size} bytes; a book may have {limits.file_bytes}")
    with TemporaryDirectory(prefix="book-") as folder:
        result = Path(folder) / "manuscript.jsonl"
        request = {
            "path": str(path.resolve()),
            "result": str(result),
            "options": asdict(options),
            "limits": asdict(limits),
        }
        status = _run(json.dumps(request), folder, limits)
        try:
            return read_result(result)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _ending(status, limits) from error


def _run(request: str, folder: str, limits: Limits) -> int:
    """Return how the child ended; a child that is not done in time is killed."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "books.reading"],
            input=request,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(_ROOT), "PYTHONUTF8": "1"},
            cwd=folder,
            start_new_session=True,  # a signal to the worker's group lets the book be read to its end
            timeout=limits.wall_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -signal.SIGXCPU
    return done.returncode


def _ending(status: int, limits: Limits) -> UnreadableBook:
    """Return why there is no result."""
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return BookTooLarge(f"reading the book takes longer than the {limits.cpu_seconds} seconds allowed")
    memory = limits.memory_bytes // MIB
    return BrokenBook(f"the file is damaged, or reading it takes more than the {memory} MiB of memory allowed")

"""Read a book that a stranger sent, in a process that may only use so much."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import books
from books.errors import BookTooLarge, BrokenBook, UnreadableBook
from books.manuscript import Manuscript
from books.reading.options import MIB, Limits, ReadingOptions
from books.reading.passing import read_result

CHECK_SECONDS = 1.0

_ROOT = Path(books.__file__).resolve().parent.parent


def read_safely(
    path: Path,
    options: ReadingOptions | None = None,
    *,
    limits: Limits | None = None,
    check: Callable[[], None] = lambda: None,
) -> Manuscript:
    """Return what a book file says. Time and memory are bounded, whatever the file holds.

    The child has none of our environment, so no secret either. Only between Markdown and plain text does the name of
    the file count: keep its suffix.

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
        request = {
            "path": str(path.resolve()),
            "result": str(result),
            "options": asdict(options),
            "limits": asdict(limits),
        }
        status = _run(json.dumps(request), folder, limits, check)
        try:
            return read_result(result)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _ending(status, limits) from error


def _run(request: str, folder: str, limits: Limits, check: Callable[[], None]) -> int:
    """Return how the child ended; a child that is not done in time is killed."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "books.reading"],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": str(_ROOT), "PYTHONUTF8": "1"},
        cwd=folder,
        start_new_session=True,  # a signal to the worker's group lets the book be read to its end
    ) as child:
        try:
            return _ended(child, request, limits, check)
        finally:
            child.kill()  # nothing, if it has ended


def _ended(child: subprocess.Popen[str], request: str, limits: Limits, check: Callable[[], None]) -> int:
    deadline = time.monotonic() + limits.wall_seconds
    told: str | None = request
    while time.monotonic() < deadline:
        try:
            child.communicate(told, timeout=min(CHECK_SECONDS, limits.wall_seconds))
        except subprocess.TimeoutExpired:
            told = None  # what is left of it is sent by the next call
            check()
        else:
            return child.returncode
    return -signal.SIGXCPU


def _ending(status: int, limits: Limits) -> UnreadableBook:
    """Return why there is no result."""
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return BookTooLarge(f"reading the book takes longer than the {limits.cpu_seconds} seconds allowed")
    memory = limits.memory_bytes // MIB
    return BrokenBook(f"the file is damaged, or reading it takes more than the {memory} MiB of memory allowed")

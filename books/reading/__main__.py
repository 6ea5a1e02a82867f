"""The child process that reads a book: `child.read_safely` starts it, and tells it on its standard input what to do."""

import json
import sys
from pathlib import Path

from books.errors import BookTooLarge, BrokenBook, UnreadableBook
from books.reading.options import Limits, ReadingOptions
from sandbox import MIB, restrict


def main() -> None:
    request = json.load(sys.stdin)
    limits, result = Limits(**request["limits"]), Path(request["result"])
    restrict(limits.bounds, written_bytes=result_bytes(limits))
    from books.reading.passing import write_error, write_manuscript

    try:
        from books.reading.reader import read

        write_manuscript(result, read(Path(request["path"]), ReadingOptions(**request["options"]), limits=limits))
        return
    except UnreadableBook as error:
        reason = error
    except (MemoryError, OSError):
        reason = BookTooLarge(
            f"reading the book takes more than the {limits.memory_bytes // MIB} MiB of memory allowed"
        )
    except Exception as error:  # a fault of ours, that a file has found: it ends here, by the name of its kind
        reason = BrokenBook(f"the file could not be read; it may be damaged ({type(error).__name__})")
    write_error(result, reason)


def result_bytes(limits: Limits) -> int:
    """Return how long a result can be: a character has up to 4 bytes, a cover is written in base 64."""
    return 4 * limits.characters + 2 * limits.cover_bytes + 16 * MIB


if __name__ == "__main__":
    main()

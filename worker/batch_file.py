"""The lines of a batch's file, one after another: a line that is too long is told of, never held."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.batch_lines import LONGEST_LINE_BYTES


@dataclass(frozen=True)
class FileLine:
    """A line of a file."""

    number: int  # the first is 1
    raw: bytes | None  # None: it is too long
    ends_at: int  # bytes from the beginning of the file


def lines_of(
    chunks: Iterable[bytes], *, number: int, offset: int, longest: int = LONGEST_LINE_BYTES
) -> Iterator[FileLine]:
    """Yield the lines of what follows `offset`, of which the first has this number; blank ones too."""
    held, skipping = bytearray(), False
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            offset += len(piece) + 1
            whole = None if skipping or len(held) + len(piece) > longest else bytes(held) + piece
            yield FileLine(number, whole, offset)
            held, skipping, number = bytearray(), False, number + 1
        offset += len(rest)
        skipping = skipping or len(held) + len(rest) > longest
        held = bytearray() if skipping else held + rest
    if held or skipping:
        yield FileLine(number, None if skipping else bytes(held), offset)

"""The Range header of RFC 9110, for one range of bytes."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.exceptions import HTTPException

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


@dataclass(frozen=True)
class ByteRange:
    start: int
    length: int


@dataclass(frozen=True)
class Asked:
    """Which bytes of a file a request asks for: those of its range, if the file is still the one that it knows."""

    range: str
    if_range: str
    head: bool = False  # or only what a GET would answer, without them

    def of(self, size: int, *, etag: str) -> ByteRange | None:
        """Return them; None for all. Raises RangeNotSatisfiable: no byte of the range exists."""
        return parse_range(self.range, size) if self.if_range in ("", etag) else None


def _asked(request: Request, range: Annotated[str, Header()] = "", if_range: Annotated[str, Header()] = "") -> Asked:
    return Asked(range, if_range, request.method == "HEAD")


AskedDep = Annotated[Asked, Depends(_asked)]


class RangeNotSatisfiable(HTTPException):
    """The range begins after the end."""

    def __init__(self, size: int) -> None:
        detail = f"the range begins after the end; the audio has {size} bytes"
        super().__init__(416, detail, headers={"Content-Range": f"bytes */{size}"})


def parse_range(header: str, size: int) -> ByteRange | None:
    """Return the asked part of `size` bytes; None for no header, several ranges or another unit: then send all.

    Raises:
        RangeNotSatisfiable: no byte of it exists.
    """
    match = _ONE_RANGE.match(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, end = max(size - int(last), 0), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and first and int(last) < int(first):
        return None
    if start >= size or start > end:
        raise RangeNotSatisfiable(size)
    return ByteRange(start, end - start + 1)

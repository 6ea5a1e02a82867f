"""A ZIP archive that may be hostile: nothing is written to disk, and nothing is unpacked past its bounds."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from books.errors import BookTooLarge, BrokenBook, EncryptedBook, UnsafeBook
from books.reading.options import Limits
from sandbox import MIB

_SMALL = MIB  # below this, a high ratio costs nothing
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


class Archive:
    """The entries of a ZIP file by name."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._limits = limits
        try:
            self._zip = zipfile.ZipFile(path)
        except _FAULTS as error:
            raise BrokenBook("the ZIP archive that holds the book is damaged or incomplete") from error
        entries = self._zip.infolist()
        if len(entries) > limits.archive_entries:
            raise BookTooLarge(f"the archive has {len(entries)} entries; a book may have {limits.archive_entries}")
        for entry in entries:
            _check_entry(entry, limits)
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > limits.unpacked_bytes:
            raise BookTooLarge(f"the archive unpacks to {unpacked} bytes; a book may have {limits.unpacked_bytes}")
        self.names = frozenset(entry.filename for entry in entries)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def read(self, name: str, *, limit: int | None = None) -> bytes:
        """Return the bytes of an entry.

        Raises:
            BookTooLarge: it has more than `limit` bytes, by default those of one document.
            BrokenBook: it is not there or damaged.
        """
        limit = limit or self._limits.document_bytes
        if name not in self.names:
            raise BrokenBook(f"the book refers to {_shown(name)}, which is not in the archive")
        entry = self._zip.getinfo(name)
        if entry.flag_bits & 1:
            raise EncryptedBook("the archive is protected by a password; a book must be without one")
        if entry.file_size > limit:
            raise BookTooLarge(f"{_shown(name)} has {entry.file_size} bytes; one part of a book may have {limit}")
        try:
            return self._zip.read(entry)  # never gives more than file_size, whatever the stream holds
        except _FAULTS as error:
            raise BrokenBook(f"{_shown(name)} in the archive is damaged") from error


def _check_entry(entry: zipfile.ZipInfo, limits: Limits) -> None:
    name = entry.filename.replace("\\", "/")
    if ".." in PurePosixPath(name).parts or name.startswith("/") or name[1:2] == ":":
        raise UnsafeBook(f"the archive has an entry that points outside of it: {_shown(name)}")
    if entry.file_size > max(_SMALL, limits.unpacked_ratio * entry.compress_size):
        found = entry.file_size // max(entry.compress_size, 1)
        raise UnsafeBook(
            f"{_shown(name)} unpacks to {found} times its size, as a zip bomb does; {limits.unpacked_ratio} are allowed"
        )


def _shown(name: str) -> str:
    return ascii(name[:80])

"""A ZIP file that is written as it is sent: entries are stored, their sizes follow them, nothing is held but names.

By APPNOTE 6.3.10. Sizes and places over 4 GiB, and more than 65,535 entries, are told in ZIP64.
"""

import struct
import zlib

_FLAGS = 0x0808  # sizes follow the data; names are UTF-8
_MADE_BY, _NEEDS, _NEEDS_64 = 0x032D, 20, 45
_DATE, _TIME = (1 << 5) | 1, 0  # 1980-01-01: equal content, equal file
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF


class ZipStream:
    """Each method returns bytes to send: `begin`, `data` any number of times, `end`, for each entry; then `close`."""

    def __init__(self) -> None:
        self._directory = bytearray()
        self._entries = 0
        self._offset = 0
        self._name = b""
        self._began = self._crc = self._size = 0

    def begin(self, name: str) -> bytes:
        """Begin an entry, which may have less than 4 GiB."""
        self._name, self._began, self._crc, self._size = name.encode(), self._offset, 0, 0
        header = struct.pack("<IHHHHHIIIHH", 0x04034B50, _NEEDS, _FLAGS, 0, _TIME, _DATE, 0, 0, 0, len(self._name), 0)
        return self._sent(header + self._name)

    def data(self, chunk: bytes) -> bytes:
        self._crc = zlib.crc32(chunk, self._crc)
        self._size += len(chunk)
        return self._sent(chunk)

    def end(self) -> bytes:
        if self._size > _MAX_32:
            raise ValueError("an entry has 4 GiB or more")
        self._list()
        return self._sent(struct.pack("<IIII", 0x08074B50, self._crc, self._size, self._size))

    def close(self) -> bytes:
        """End the file with its directory."""
        began, size = self._offset, len(self._directory)
        end = struct.pack(
            "<IHHHHIIH",
            0x06054B50,
            0,
            0,
            min(self._entries, _MAX_16),
            min(self._entries, _MAX_16),
            min(size, _MAX_32),
            min(began, _MAX_32),
            0,
        )
        big = self._entries >= _MAX_16 or size >= _MAX_32 or began >= _MAX_32
        return self._sent(bytes(self._directory) + (self._end_64(began, size) if big else b"") + end)

    def _list(self) -> None:
        big = self._began >= _MAX_32
        extra = struct.pack("<HHQ", 1, 8, self._began) if big else b""
        self._directory += struct.pack(
            "<IHHHHHHIIIHHHHHII",
            0x02014B50,
            _MADE_BY,
            _NEEDS_64 if big else _NEEDS,
            _FLAGS,
            0,
            _TIME,
            _DATE,
            self._crc,
            self._size,
            self._size,
            len(self._name),
            len(extra),
            0,
            0,
            0,
            0o100644 << 16,
            min(self._began, _MAX_32),
        )
        self._directory += self._name + extra
        self._entries += 1

    def _end_64(self, began: int, size: int) -> bytes:
        record = struct.pack(
            "<IQHHIIQQQQ", 0x06064B50, 44, _MADE_BY, _NEEDS_64, 0, 0, self._entries, self._entries, size, began
        )
        return record + struct.pack("<IIQI", 0x07064B50, 0, began + size, 1)

    def _sent(self, data: bytes) -> bytes:
        self._offset += len(data)
        return data

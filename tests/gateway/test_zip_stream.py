"""A ZIP that is written while it is sent is one that readers read."""

import io
import zipfile
from collections.abc import Iterable

import pytest

from gateway.zip_stream import ZipStream


def written(files: Iterable[tuple[str, list[bytes]]], *, after: int = 0) -> bytes:
    """Return a ZIP; `after`: as many bytes are as if they had been sent before."""
    archive, sent = ZipStream(), bytearray()
    archive._offset = after  # pyright: ignore[reportPrivateUsage] - nobody sends 4 GiB in a test
    for name, chunks in files:
        sent += archive.begin(name)
        for chunk in chunks:
            sent += archive.data(chunk)
        sent += archive.end()
    return bytes(sent + archive.close())


def test_what_was_put_in_comes_out() -> None:
    files: list[tuple[str, list[bytes]]] = [
        ("a.wav", [b"one", b"two"]),
        ("你好.mp3", []),
        ("manifest.jsonl", [b"{}\n"]),
    ]

    with zipfile.ZipFile(io.BytesIO(written(files))) as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == [
            (name, b"".join(chunks)) for name, chunks in files
        ]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_more_files_than_the_old_format_can_count() -> None:
    data = written((f"{number:06}", [b"x"]) for number in range(65_537))

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == 65_537
        assert archive.read("065536") == b"x"


def test_files_beyond_4_gib_are_found() -> None:
    begins = 5 * 2**30
    data = written([("a.wav", [b"far away"])], after=begins)

    class Far(io.BytesIO):
        """The end of a file whose first 5 GiB are not looked at."""

        def seek(self, offset: int, whence: int = 0) -> int:
            return super().seek(offset - begins if whence == 0 else offset, whence) + begins

        def tell(self) -> int:
            return super().tell() + begins

    with zipfile.ZipFile(Far(data)) as archive:
        assert archive.infolist()[0].header_offset == begins
        assert archive.read("a.wav") == b"far away"


def test_a_file_of_4_gib_is_refused() -> None:
    archive = ZipStream()
    archive.begin("a.wav")
    archive._size = 2**32  # pyright: ignore[reportPrivateUsage] - as above

    with pytest.raises(ValueError, match="4 GiB"):
        archive.end()

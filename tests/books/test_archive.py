"""A ZIP of chapters that every system can unpack, and that is the same each time."""

import io
import unicodedata
import zipfile

import pytest

from books.editions import EDITIONS, Cover, assemble
from books.editions.archive import chapter_name
from tests.books.spoken import COVER, METADATA, as_files
from tests.pictures import picture


def archive(audio: list[bytes], titles: list[str], *, format: str = "mp3", cover: Cover | None = None) -> bytes:
    target = io.BytesIO()
    assemble(as_files(audio, titles), target, format=format, metadata=METADATA, cover=cover)
    return target.getvalue()


def entries(data: bytes) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return opened.infolist()


@pytest.mark.parametrize("format", [format for format in EDITIONS if format != "m4b"])
def test_it_has_the_chapters_in_order_as_they_are(format: str) -> None:
    data = archive([b"one", b"two" * 100_000], ["Opening", "The end"], format=format)

    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.namelist() == [f"01 - Opening.{format}", f"02 - The end.{format}"]
        assert opened.read(f"02 - The end.{format}") == b"two" * 100_000


def test_nothing_is_deflated_and_nothing_says_when_or_where_it_was_made() -> None:
    for one in entries(archive([b"audio" * 1000], ["Opening"], cover=COVER)):
        assert one.compress_type == zipfile.ZIP_STORED
        assert one.date_time == (1980, 1, 1, 0, 0, 0)
        assert (one.create_system, one.external_attr >> 16) == (3, 0o644)


def test_the_same_chapters_give_the_same_bytes() -> None:
    assert archive([b"a", b"b"], ["x", "y"], cover=COVER) == archive([b"a", b"b"], ["x", "y"], cover=COVER)


@pytest.mark.parametrize(("kind", "name"), [("image/jpeg", "cover.jpg"), ("image/png", "cover.png")])
def test_the_cover_is_in_it(kind: str, name: str) -> None:
    data = archive([b"audio"], ["Opening"], cover=Cover(picture(kind), kind))

    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.read(name) == picture(kind)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Title", "07 - Title.mp3"),
        ("../../etc/passwd", "07 - _.._etc_passwd.mp3"),
        ('a\\b:c*d?e"f<g>h|i', "07 - a_b_c_d_e_f_g_h_i.mp3"),
        ("  two\n lines\t\x00 ", "07 - two lines.mp3"),
        ("Ende. ", "07 - Ende.mp3"),
        ("", "07 - Chapter.mp3"),
        ("...", "07 - Chapter.mp3"),
        ("第七章", "07 - 第七章.mp3"),
        (unicodedata.normalize("NFD", "Übermut"), "07 - Übermut.mp3"),
        ("CON", "07 - CON.mp3"),
    ],
)
def test_a_name_is_safe_on_every_system(title: str, name: str) -> None:
    assert chapter_name(7, 12, title, "mp3") == name


@pytest.mark.parametrize("letter", ["x", "é", "长", "😀"])
def test_a_name_is_not_too_long(letter: str) -> None:
    name = chapter_name(1, 1000, letter * 500, "opus")

    assert name.startswith(f"0001 - {letter}")
    assert name.endswith(f"{letter}.opus")
    assert len(name.encode()) <= 200


def test_chapters_of_one_title_are_told_apart_and_sort_as_they_are_read() -> None:
    names = [one.filename for one in entries(archive([b"x"] * 120, ["Same"] * 120))]

    assert len(set(names)) == 120
    assert names == sorted(names)


def test_a_file_that_is_too_long_for_32_bits_has_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)  # instead of 2 GiB, which would take long to write

    needed = [one.extract_version for one in entries(archive([b"x" * 500, b"x" * 5000], ["short", "long"]))]

    assert needed == [20, zipfile.ZIP64_VERSION]

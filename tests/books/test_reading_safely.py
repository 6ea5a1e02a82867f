"""Hostile files: a clear error, in bounded time and memory, whatever is in them."""

import os
import resource
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from books.errors import BookTooLarge, BrokenBook, UnreadableBook, UnsafeBook
from books.reading import Limits, read_safely
from books.reading.passing import read_result, write_error, write_manuscript
from tests.books.making import make_archive, make_epub, page, pdf_of
from tests.books.test_reading_epub import CONTAINER, PNG

MOST_SECONDS = 30.0
LAUGHS = (
    '<!DOCTYPE html [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + ']><html xmlns="http://www.w3.org/1999/xhtml"><body><p>&j;</p></body></html>'
)
FOREIGN = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body><p>&x;</p></body></html>'
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def with_document(path: Path, data: str | bytes, name: str = "book/a.xhtml") -> None:
    opf = '<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine>'
    files: dict[str, str | bytes] = {"META-INF/container.xml": CONTAINER, "book/a.xhtml": page("A", "<p>x</p>")}
    make_archive(path, files | {"book/content.opf": opf + '<itemref idref="a"/></spine></package>', name: data})


def bomb(path: Path) -> None:
    with_document(path, page("A", "<p>" + "a" * 30_000_000 + "</p>"))


def bomb_that_nothing_refers_to(path: Path) -> None:
    with_document(path, bytes(50_000_000), "zero.bin")


def parent_folder(path: Path) -> None:
    with_document(path, "x", "../../outside")


def absolute_name(path: Path) -> None:
    with_document(path, "x", "/etc/outside")


def laughs(path: Path) -> None:
    with_document(path, LAUGHS)


def foreign_entity(path: Path) -> None:
    with_document(path, FOREIGN)


def ten_thousand_chapters(path: Path) -> None:
    make_epub(path, title="T", author="A", language="en", chapters=[(f"C{n}", ["x"]) for n in range(9_900)])


def many_entries(path: Path) -> None:
    make_epub(path, title="T", author="A", language="en", chapters=[(f"C{n}", ["x"]) for n in range(12_000)])


def two_hundred_megabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200_000_000)


def much_text(path: Path) -> None:
    path.write_bytes(b"word word word\n\n" * 2_000_000)


def half_an_archive(path: Path) -> None:
    make_epub(path, title="T", author="A", language="en", chapters=[("C", ["x"])])
    path.write_bytes(path.read_bytes()[:500])


def noise_in_an_archive(path: Path) -> None:
    make_epub(path, title="T", author="A", language="en", chapters=[("C", ["x" * 2000])])
    data = bytearray(path.read_bytes())
    data[100:600:7] = bytes(len(data[100:600:7]))
    path.write_bytes(data)


def deep_html(path: Path) -> None:
    path.write_bytes(b"<html><body>" + b"<div>" * 1_000_000 + b"x")


def wide_html(path: Path) -> None:
    path.write_bytes(b"<html><body>" + b"<b>x</b>" * 4_000_000)


def million_pages(path: Path) -> None:
    pages = b"<< /Type /Pages /Count 1000000 /Kids [" + b"3 0 R " * 1_000_000 + b"] >>"
    path.write_bytes(pdf_of({1: CATALOG, 2: pages, 3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"}))


def pages_in_a_circle(path: Path) -> None:
    path.write_bytes(pdf_of({1: CATALOG, 2: b"<< /Type /Pages /Count 1000000 /Kids [2 0 R] >>"}))


def stream_bomb(path: Path) -> None:
    packer = zlib.compressobj(1)
    zeros = bytes(10_000_000)
    packed = zlib.compress(b"".join(packer.compress(zeros) for _ in range(150)) + packer.flush())
    content = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%b\nendstream" % (len(packed), packed)
    one_page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>"
    path.write_bytes(pdf_of({1: CATALOG, 2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", 3: one_page, 4: content}))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (bomb, UnsafeBook, "200 are allowed"),
        (bomb_that_nothing_refers_to, UnsafeBook, "zip bomb"),
        (parent_folder, UnsafeBook, "outside"),
        (absolute_name, UnsafeBook, "outside"),
        (laughs, UnsafeBook, "entities"),
        (foreign_entity, UnsafeBook, "entities"),
        (ten_thousand_chapters, BookTooLarge, "2000 chapters"),
        (many_entries, BookTooLarge, "12004 entries; a book may have 10000"),
        (two_hundred_megabytes, BookTooLarge, "200000000 bytes; a book may have 100000000"),
        (much_text, BookTooLarge, "32000000 characters; a book may have 20000000"),
        (half_an_archive, BrokenBook, "incomplete"),
        (noise_in_an_archive, BrokenBook, "damaged"),
        (deep_html, BrokenBook, "256"),
        (wide_html, BookTooLarge, "1024 MiB of memory"),
        (million_pages, BookTooLarge, "1000000 pages; a book may have 10000"),
        (pages_in_a_circle, BookTooLarge, "pages"),
        (stream_bomb, UnreadableBook, "1024 MiB of memory|text layer"),
    ],
)
def test_a_hostile_file_gets_a_clear_error_in_bounded_time_and_memory(
    tmp_path: Path, make: Callable[[Path], None], error: type[UnreadableBook], says: str
) -> None:
    make(tmp_path / "hostile")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.monotonic()

    with pytest.raises(error, match=says):
        read_safely(tmp_path / "hostile")

    assert time.monotonic() - began < MOST_SECONDS
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB; of the largest child so far
    assert peak <= max(before, Limits().memory_bytes / 1024)


def test_a_book_is_read_whole_by_a_child(tmp_path: Path) -> None:
    chapters = [(f"Chapter {n}", [f"Text {n}.", "更多。"]) for n in range(1, 13)]
    make_epub(tmp_path / "a.epub", title="书", author="A", language="zh", chapters=chapters, cover=PNG)

    manuscript = read_safely(tmp_path / "a.epub")

    assert [chapter.title for chapter in manuscript.chapters] == [title for title, _ in chapters]
    assert manuscript.chapters[11].text == "# Chapter 12\n\nText 12.\n\n更多。"
    assert (manuscript.metadata["title"], manuscript.cover) == ("书", PNG)


def test_a_child_that_works_too_long_is_ended(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<html><body>" + b"<p>x y</p>" * 1_000_000)
    began = time.monotonic()

    with pytest.raises(BookTooLarge, match="1 seconds"):
        read_safely(tmp_path / "a.html", limits=Limits(cpu_seconds=1))

    assert time.monotonic() - began < 15


def test_a_child_that_hangs_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")  # opening it waits for a writer

    with pytest.raises(BookTooLarge, match="takes longer"):
        read_safely(tmp_path / "a.txt", limits=Limits(wall_seconds=1))


def test_a_child_short_of_memory_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"word word word\n\n" * 1_000_000)

    with pytest.raises(UnreadableBook, match="64 MiB of memory"):
        read_safely(tmp_path / "a.txt", limits=Limits(memory_bytes=64 * 1024 * 1024))


def test_the_child_sees_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTIVOICE_SECRET", "s3cret")
    seen = tmp_path / "seen"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nenv > "{seen}"\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    (tmp_path / "a.txt").write_text("Some text.")

    assert read_safely(tmp_path / "a.txt").chapters[0].text == "Some text."
    assert "s3cret" not in seen.read_text()


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "a.txt").write_text("Some text.")
    bomb(tmp_path / "b.epub")

    read_safely(tmp_path / "a.txt")
    with pytest.raises(UnsafeBook):
        read_safely(tmp_path / "b.epub")

    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_is_passed_between_the_processes_comes_back_equal(tmp_path: Path) -> None:
    make_epub(tmp_path / "a.epub", title="T", author="A", language="en", chapters=[("C", ["x\u2028y"])], cover=PNG)
    manuscript = read_safely(tmp_path / "a.epub")

    write_manuscript(tmp_path / "result", manuscript)
    assert read_result(tmp_path / "result") == manuscript
    write_error(tmp_path / "result", UnsafeBook("no"))
    with pytest.raises(UnsafeBook, match="no"):
        read_result(tmp_path / "result")

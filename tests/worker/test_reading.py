"""A book's file is read by a worker: into texts, a cover, and chapters."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox import process
from shared.books import BookState
from shared.jobs import JobKind, JobState
from tests.books.making import make_epub
from tests.fake_books import new_book
from tests.pictures import picture
from tests.worker.bookroom import Bookroom

CHAPTERS = [("The Door", ["It opened.", "Nobody came in."]), ("The Window", ["It was closed."])]


def a_room(folder: Path, data: bytes | None = None, **fields: object) -> Bookroom:
    """Return a room with a book whose file has come."""
    if data is None:
        make_epub(folder / "a.epub", title="Doors", author="A. Writer", language="en", chapters=CHAPTERS)
        data = (folder / "a.epub").read_bytes()
    room = Bookroom()
    book = new_book(source_sha256=hashlib.sha256(data).hexdigest(), source_name="../a.EPUB", **fields)
    room.books.put(book)
    room.objects.objects[book.source_key] = data
    return room


def read(room: Bookroom) -> str:
    job_id = room.ask_for(JobKind.READING)
    room.books.put(replace(room.book, reading_job=job_id))
    room.deliver(job_id)
    return job_id


def test_a_file_becomes_chapters_with_texts(tmp_path: Path) -> None:
    room = a_room(tmp_path)

    job_id = read(room)

    assert room.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert [(one.id, one.title) for one in room.book.chapters] == [("1", "The Door"), ("2", "The Window")]
    texts = [room.objects.objects[room.book.text_key(one)].decode() for one in room.book.chapters]
    assert "Nobody came in." in texts[0]
    assert [one.characters for one in room.book.chapters] == [len(text) for text in texts]
    assert room.state is BookState.READY


def test_what_the_owner_says_of_a_book_stands(tmp_path: Path) -> None:
    room = a_room(tmp_path, metadata={"title": "My doors", "author": ""})

    read(room)

    assert room.book.metadata["title"] == "My doors"
    assert "author" not in room.book.metadata
    assert room.book.metadata["language"] == "en"


def test_what_is_no_book_fails_with_the_reason(tmp_path: Path) -> None:
    room = a_room(tmp_path, b"PK\x03\x04 and then nothing")

    job_id = read(room)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "unreadable_book"
    assert room.state is BookState.FAILED


def test_a_book_that_was_deleted_while_it_was_read_leaves_no_objects(tmp_path: Path) -> None:
    room = a_room(tmp_path)
    room.books.before_change = room.books.books.clear

    job_id = room.ask_for(JobKind.READING)
    room.deliver(job_id)

    assert not room.objects.objects


def test_a_file_that_is_not_what_was_stored_is_not_read(tmp_path: Path) -> None:
    room = a_room(tmp_path)
    room.objects.objects[room.book.source_key] = b"something else"

    job_id = read(room)

    failure = room.jobs.jobs[job_id].failure
    assert failure
    assert failure.code == "audio_missing"


def test_chapters_that_are_stored_while_the_book_is_deleted_are_deleted_too(tmp_path: Path) -> None:
    room = a_room(tmp_path)
    job_id = room.ask_for(JobKind.READING)
    put = room.objects.put

    def deleted_meanwhile(key: str, *arguments: Any, **named: Any) -> None:
        room.children.cancel(job_id)
        room.books.books.clear()
        put(key, *arguments, **named)

    room.objects.put = deleted_meanwhile

    room.deliver(job_id)

    assert not room.objects.objects


def test_a_damaged_cover_is_left_out_with_a_note(tmp_path: Path) -> None:
    broken = picture("image/jpeg")[:300]
    make_epub(tmp_path / "c.epub", title="C", author="A", language="en", chapters=CHAPTERS, cover=broken)
    room = a_room(tmp_path, (tmp_path / "c.epub").read_bytes())

    read(room)

    assert room.state is BookState.READY
    assert not room.book.cover_sha256
    assert room.book.notes[-1] == "the cover was left out: it is a damaged picture"


@pytest.mark.parametrize("cover_is_set", [False, True], ids=["the file's", "the owner's"])
def test_the_cover_is_the_owners_or_else_the_files(tmp_path: Path, *, cover_is_set: bool) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\x00" * 32
    make_epub(tmp_path / "c.epub", title="C", author="A", language="en", chapters=CHAPTERS, cover=picture("image/png"))
    fields = {"cover_sha256": "theirs", "cover_type": "image/png"} if cover_is_set else {}
    room = a_room(tmp_path, (tmp_path / "c.epub").read_bytes(), **fields)
    if cover_is_set:
        room.objects.objects[room.book.cover_key] = png

    read(room)

    stored = room.objects.objects[room.book.cover_key]
    assert stored == (png if cover_is_set else picture("image/png"))
    assert room.book.cover_sha256 == ("theirs" if cover_is_set else hashlib.sha256(picture("image/png")).hexdigest())


def test_a_reading_that_is_cancelled_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CHECK_SECONDS", 0.01)  # Python alone takes longer to start
    room = a_room(tmp_path)
    job_id = room.ask_for(JobKind.READING)
    fetch = room.objects.read

    def cancelled_meanwhile(key: str) -> object:
        room.children.cancel(job_id)
        return fetch(key)

    room.objects.read = cancelled_meanwhile  # pyright: ignore[reportAttributeAccessIssue] - a fault

    assert room.deliver(job_id).outcome == "job_finished"
    assert not room.book.chapters

"""Read a book's file: its chapters' texts and its cover become objects, and the book is ready to be rendered."""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audio.tags import Cover, UnusableCover
from books.errors import UnreadableBook as Unreadable
from books.manuscript import Manuscript, ReadChapter
from books.reading.child import read_safely
from books.reading.options import ReadingOptions
from shared.books import Book, Chapter, cover_key, text_key
from shared.errors import BookNotFound, UnreadableBook
from shared.jobs import Job
from shared.ports import ObjectStore
from shared.speech_length import estimated_seconds
from worker.files import fetched
from worker.lease import Lease
from worker.rendering import finish, stores
from worker.runtime import Runtime


def read_book(job: Job, lease: Lease, runtime: Runtime) -> None:
    """Fill the book from its file and finish. Done twice, it writes the same.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        UnreadableBook: the file is no book, or one that nobody should open.
        JobError: a server is away.
    """
    books, _ = stores(runtime)
    book = books.get(job.parent)
    if book is None:
        raise BookNotFound(job.parent)
    if not book.chapters:
        manuscript = _with_usable_cover(_read(book, lease, runtime.objects))
        lease.check()
        chapters = [_stored(number, one, book, runtime.objects) for number, one in enumerate(manuscript.chapters, 1)]
        cover = _stored_cover(manuscript, book, runtime.objects)
        filled = books.change(book.id, lambda now: _filled(now, manuscript, chapters, cover))
        if filled is None or not filled.keep_seconds:  # it was deleted while it was read
            _delete_all(f"books/{book.id}/", runtime.objects)
    finish(lease, runtime)


def _read(book: Book, lease: Lease, objects: ObjectStore) -> Manuscript:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _safe_name(book.source_name)
        with fetched(book.source_key, objects, sha256=book.source_sha256) as source, path.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        try:
            return read_safely(path, ReadingOptions(**book.options), check=lease.check)
        except Unreadable as error:
            raise UnreadableBook(str(error)) from error


def _safe_name(name: str) -> str:
    """Return a name for a file of ours with the extension of the owner's: it may tell what the file is."""
    extension = Path(name).suffix.lower()
    return f"book{extension}" if extension[1:].isalnum() and extension.isascii() else "book"


def _stored(number: int, chapter: ReadChapter, book: Book, objects: ObjectStore) -> Chapter:
    data = chapter.text.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    _put(text_key(book.id, sha256), data, "text/plain; charset=utf-8", objects)
    seconds = estimated_seconds(chapter.text)
    return Chapter(str(number), chapter.title, len(chapter.text), seconds, sha256)


def _put(key: str, data: bytes, content_type: str, objects: ObjectStore) -> None:
    objects.put(key, io.BytesIO(data), length=len(data), content_type=content_type)


def _delete_all(prefix: str, objects: ObjectStore) -> None:
    for key in list(objects.keys(prefix)):
        objects.delete(key)


def _with_usable_cover(manuscript: Manuscript) -> Manuscript:
    """Return the manuscript without a cover that no edition could be made with, and a note of that."""
    if not manuscript.cover:
        return manuscript
    try:
        Cover(manuscript.cover, manuscript.cover_type).size()
    except UnusableCover:
        notes = (*manuscript.notes, "the cover was left out: it is a damaged picture")
        return replace(manuscript, cover=b"", cover_type="", notes=notes)
    return manuscript


def _stored_cover(manuscript: Manuscript, book: Book, objects: ObjectStore) -> dict[str, str]:
    """Return what the book's record says of the file's cover; the owner's stays."""
    if book.cover_sha256 or not manuscript.cover:
        return {}
    sha256 = hashlib.sha256(manuscript.cover).hexdigest()
    _put(cover_key(book.id, sha256), manuscript.cover, manuscript.cover_type, objects)
    return {"cover_sha256": sha256, "cover_type": manuscript.cover_type}


def _filled(book: Book, manuscript: Manuscript, chapters: Sequence[Chapter], cover: Mapping[str, str]) -> Book | None:
    """Return the book as it was read; what its owner has said of it stays."""
    if book.chapters:
        return None
    return replace(
        book,
        chapters=tuple(chapters),
        metadata=_known({**manuscript.metadata, **book.metadata}),
        notes=manuscript.notes,
        **cover,
    )


def _known(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in metadata.items() if text}

"""Books as the tests of the gateway need them."""

import hashlib
import time
from dataclasses import replace

import uuid_utils

from gateway.book_submission import NOTHING_SPOKEN
from shared.books import Book, Chapter, Edition, Voicing, Wanted, chapter_fingerprint, edition_fingerprint
from shared.children import child_id
from shared.jobs import JOIN, Audio, Failure, Job, JobKind, JobState, Lane, Step, StepState
from tests.gateway.conftest import World

TEXTS = ("# One\n\nIt begins.", "# Two\n\nIt ends.")


def read_book(world: World, *, tenant: str = "default", texts: tuple[str, ...] = TEXTS, **fields: object) -> Book:
    """Return a book that has been read, and is ready."""
    book_id, now = str(uuid_utils.uuid7()), time.time()
    book = Book(
        id=book_id,
        tenant=tenant,
        created_at=now,
        source_name="book.epub",
        source_bytes=4,
        source_sha256="0" * 64,
        voicing=Voicing("hum"),
        touched_at=now,
        reading_job=child_id(book_id, "reading"),
        metadata={"title": "Ein Buch: 一本书", "language": "zh"},
        chapters=tuple(_chapter(number, text) for number, text in enumerate(texts, 1)),
    )
    for text in texts:
        world.objects.objects[f"books/{book_id}/texts/{_sha256(text.encode())}.txt"] = text.encode()
    world.objects.objects[book.source_key] = b"book"
    add_job(world, book, JobKind.READING, book.reading_job, JobState.SUCCEEDED)
    return put(world, replace(book, **fields))  # pyright: ignore[reportArgumentType] - by the test


def rendered(world: World, book: Book, *, states: tuple[JobState, ...], wanted: Wanted = Wanted.RENDER) -> Book:
    """Return the book with a job for each chapter that is in that state, and an M4B if all are spoken."""
    book = replace(book, wanted=wanted, formats=("m4b",), renders=1, render_job=child_id(book.id, "render 1"))
    add_job(world, book, JobKind.RENDER, book.render_job, JobState.SUCCEEDED)
    for chapter, state in zip(book.chapters, states, strict=True):
        job = child_id(book.id, f"chapter {chapter.id}")
        add_job(world, book, JobKind.CHAPTER, job, state, data=f"audio of {chapter.id}".encode())
        book = book.with_chapter(replace(chapter, job=job, spoken_as=chapter_fingerprint(book, chapter)))
    return put(world, book)


def with_edition(world: World, book: Book, data: bytes = b"an M4B, as it were") -> Book:
    job = child_id(book.id, "m4b")
    add_job(world, book, JobKind.EDITION, job, JobState.SUCCEEDED, data=data, format="m4b")
    addresses = [world.records.jobs[chapter.job].audio_address or "" for chapter in book.included]
    return put(world, replace(book, editions=(Edition("m4b", job, edition_fingerprint(book, "m4b", addresses)),)))


def put(world: World, book: Book) -> Book:
    world.books.books[book.id] = book
    return book


def add_job(
    world: World,
    book: Book,
    kind: JobKind,
    job_id: str,
    state: JobState,
    *,
    data: bytes = b"",
    format: str = "flac",
) -> None:
    job = Job(job_id, Lane.BULK, 0, time.time(), kind=kind, parent=book.id, tenant=book.tenant, long=True)
    job = replace(job, state=state, segments_total=4, segments_done=1)
    if state is JobState.FAILED:
        job = replace(job, failure=Failure("engine_failed", "it could not be spoken"))
    if state is JobState.SUCCEEDED:
        job = replace(job, segments_done=4, audio_seconds=2.0, engine_seconds=3.0)
    world.records.add(job, NOTHING_SPOKEN)
    if data and state is JobState.SUCCEEDED:
        address = _sha256(data)
        audio = Audio(address, f"audio/{address}.{format}", len(data), 2.0, 16_000, format, address)
        audio = replace(audio, retakes=("it was too long",), warnings=("☺ was not spoken",), measured={"lufs": -16.0})
        world.objects.objects[audio.key] = data
        world.records.stored[address] = audio
        world.records.holders[address] = {job_id}
        world.records.jobs[job_id] = replace(job, audio_address=address)
        world.records.steps[job_id] = {name: Step(name, StepState.DONE, audio_address=address) for name in ("0", JOIN)}


def _chapter(number: int, text: str) -> Chapter:
    return Chapter(str(number), f"Chapter {number}", len(text), 6.0, _sha256(text.encode()))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

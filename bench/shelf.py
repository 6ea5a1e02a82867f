"""Books on real servers, without a gateway between: what benches and tests do with them."""

import asyncio
import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import uuid_utils

from shared.advance import jobs_of
from shared.book_store import AsyncRedisBooks, RedisBooks
from shared.books import Book, BookState, Chapter, Voicing, Wanted, state_of, text_key
from shared.children import RedisChildJobs, child_id
from shared.job_store import RedisJobStore
from shared.jobs import Audio, Job, JobKind, Lane, SpeechRequest
from shared.object_store import S3ObjectStore
from shared.ports import StepRef
from shared.queue import CeleryJobQueue, make_app
from shared.settings import SharedSettings
from shared.speech_length import estimated_seconds

NOTHING = SpeechRequest("", "hum", "neutral", 1.0, 1.0, "flac", 16_000, 0)


class Shelf:
    """All books of one stack."""

    def __init__(self, settings: SharedSettings) -> None:
        self._url = settings.redis_url.get_secret_value()
        queue = CeleryJobQueue(make_app(settings.broker_url.get_secret_value()))

        def send(step: StepRef) -> None:
            queue.enqueue(step.job_id, step.step, lane=step.lane)

        self.records = RedisJobStore(self._url)
        self.books = RedisBooks(self._url)
        self.children = RedisChildJobs(self._url, windows=settings.windows, send=send)
        self.objects = S3ObjectStore(settings)

    def add_file(self, path: Path, **fields: Any) -> str:
        """Have a file read as a book; return the book's id."""
        data = path.read_bytes()
        book = self._new(path.name, hashlib.sha256(data).hexdigest(), **fields)
        self._put(book.source_key, data)
        book = replace(book, reading_job=child_id(book.id, "reading"))
        self._create(book)
        self._ask(book, JobKind.READING, book.reading_job)
        return book.id

    def add(self, chapters: list[tuple[str, str]], **fields: Any) -> str:
        """Add a book that is read already: of chapters with these titles and marked texts."""
        book = self._new("book.txt", "", **fields)
        read = [self.chapter(book, str(number), *one) for number, one in enumerate(chapters, 1)]
        self._create(replace(book, chapters=tuple(read)))
        return book.id

    def chapter(self, book: Book, id: str, title: str, text: str) -> Chapter:
        """Return a chapter whose text is stored."""
        data = text.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        self._put(text_key(book.id, sha256), data)
        return Chapter(id, title, len(text), estimated_seconds(text), sha256)

    def rewrite(self, book_id: str, id: str, title: str, text: str) -> None:
        """Give a chapter another text."""
        new = self.chapter(self.get(book_id), id, title, text)

        def rewritten(book: Book) -> Book:
            (known,) = [one for one in book.chapters if one.id == id]
            return book.with_chapter(replace(new, job=known.job, spoken_as=known.spoken_as))

        self.books.change(book_id, rewritten)

    def text(self, book_id: str, id: str) -> str:
        book = self.get(book_id)
        (chapter,) = [one for one in book.chapters if one.id == id]
        return b"".join(self.objects.read(book.text_key(chapter))).decode()

    def render(self, book_id: str, *formats: str) -> None:
        """Begin or go on, as the gateway does."""

        def begun(book: Book) -> Book:
            number = book.renders + 1
            job = child_id(book_id, f"render {number}")
            return replace(book, wanted=Wanted.RENDER, formats=formats, renders=number, render_job=job)

        book = self.books.change(book_id, begun)
        assert book
        self._ask(book, JobKind.RENDER, book.render_job)

    def get(self, book_id: str) -> Book:
        book = self.books.get(book_id)
        assert book
        return book

    def jobs(self, book_id: str) -> dict[str, Job | None]:
        return jobs_of(self.get(book_id), self.children)

    def state(self, book_id: str) -> BookState:
        book = self.get(book_id)
        return state_of(book, jobs_of(book, self.children))

    def spoken_segments(self, book_id: str) -> int:
        """Return how many segments of its chapters are done."""
        chapters = {chapter.job for chapter in self.get(book_id).included}
        return sum(job.segments_done for job in self.jobs(book_id).values() if job and job.id in chapters)

    def edition(self, book_id: str, format: str) -> Audio:
        """Return the record of an edition that is there."""
        (edition,) = [one for one in self.get(book_id).editions if one.format == format]
        (job,) = self.children.jobs([edition.job])
        (audio,) = self.records.audio([(job.audio_address if job else None) or ""])
        assert audio
        return audio

    def read(self, audio: Audio) -> Iterator[bytes]:
        return self.objects.read(audio.key)

    def _new(self, name: str, sha256: str, **fields: Any) -> Book:
        now = time.time()
        voicing = Voicing("hum")
        book = Book(str(uuid_utils.uuid7()), "default", now, name, 0, sha256, voicing, touched_at=now)
        return replace(book, **fields)

    def _create(self, book: Book) -> None:
        async def create() -> None:
            books = AsyncRedisBooks(self._url)
            assert await books.create(book)
            await books.close()

        asyncio.run(create())

    def _ask(self, book: Book, kind: JobKind, job_id: str) -> None:
        job = Job(job_id, Lane.ASSEMBLY, 0, time.time(), kind=kind, parent=book.id, tenant=book.tenant)
        self.children.create(job, NOTHING)

    def _put(self, key: str, data: bytes) -> None:
        self.objects.put(key, io.BytesIO(data), length=len(data), content_type="application/octet-stream")

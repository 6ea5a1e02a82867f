"""Books and their jobs in memory, for what workers and the sweeper do with them."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

from shared.book_store import Decide
from shared.books import Book, Chapter, Voicing, Wanted, text_key
from shared.jobs import JOIN, Job, JobState, SpeechRequest, reopened
from shared.ports import Reopened
from tests.fakes import InMemoryJobStore, InMemoryQueue

BOOK_ID = "01939f5c-0000-7000-8000-000000000000"


class InMemoryBooks:
    """The workers' and the sweeper's side. `before_change` is called once, before the next change."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self._unsettled: set[str] = set()
        self.before_change = lambda: None

    def get(self, book_id: str) -> Book | None:
        return self.books.get(book_id)

    def change(self, book_id: str, decide: Decide) -> Book | None:
        before, self.before_change = self.before_change, lambda: None
        before()
        book = self.books.get(book_id)
        if book is None:
            return None
        changed = decide(book)
        if changed is None or changed == book:
            return book
        self.put(replace(changed, touched_at=time.time()))
        return self.books[book_id]

    def put(self, book: Book) -> None:
        self.books[book.id] = book
        at_work = book.wanted is Wanted.RENDER or not book.chapters
        (self._unsettled.add if at_work else self._unsettled.discard)(book.id)

    def unsettled(self) -> list[str]:
        return sorted(self._unsettled)

    def settled(self, book: Book) -> None:
        if self.books.get(book.id) == book:
            self._unsettled.discard(book.id)

    def due(self, *, now: float, limit: int) -> list[str]:
        return [one.id for one in self.books.values() if one.touched_at + one.keep_seconds <= now][:limit]

    def forget(self, book: Book) -> None:
        del self.books[book.id]
        self._unsettled.discard(book.id)


class InMemoryChildren:
    """The same of their jobs, over the records of all jobs; `created` has the ids of the new ones, in order."""

    def __init__(self, records: InMemoryJobStore, queue: InMemoryQueue) -> None:
        self._records, self._queue = records, queue
        self.created: list[str] = []

    def create(self, job: Job, request: SpeechRequest) -> bool:
        if job.id in self._records.jobs:
            return False
        self._records.add(job, request)
        self.created.append(job.id)
        self._queue.enqueue(job.id, job.first_step, lane=job.lane_of(job.first_step))
        return True

    def jobs(self, ids: Sequence[str]) -> list[Job | None]:
        return [self._records.jobs.get(one) for one in ids]

    def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        theirs = sorted(one.id for one in self._records.jobs.values() if one.parent == parent)
        return [one for one in theirs if one > after][:limit]

    def cancel(self, job_id: str) -> None:
        job = self._records.jobs.get(job_id)
        if job and not job.finished:
            self._records.jobs[job_id] = job.cancelled(now=time.time())

    def reopen(self, job_id: str) -> Reopened | None:
        job = self._records.jobs.get(job_id)
        if job is None or job.state is not JobState.SUCCEEDED:
            return None
        steps = self._records.steps[job_id]
        again, names = reopened(job, steps.values())
        again = replace(again, repairs=job.repairs + 1)
        self._records.jobs[job_id] = again
        for name in [*names, JOIN]:
            steps.pop(name, None)
        return Reopened(again, names)


def new_book(**fields: object) -> Book:
    """Return a book of which nothing is known yet but its file."""
    book = Book(BOOK_ID, "default", time.time(), "book.epub", 3, "sha of the file", Voicing("hum"))
    return replace(book, **{"touched_at": time.time(), **fields})  # pyright: ignore[reportArgumentType] - by the test


def with_texts(book: Book, texts: Sequence[tuple[str, str]]) -> tuple[Book, dict[str, bytes]]:
    """Return the book with chapters of these titles and texts, and the objects of the texts."""
    chapters: list[Chapter] = []
    objects: dict[str, bytes] = {}
    for number, (title, text) in enumerate(texts, 1):
        chapter, key, data = chapter_of(book, str(number), title, text)
        chapters.append(chapter)
        objects[key] = data
    return replace(book, chapters=tuple(chapters)), objects


def chapter_of(book: Book, id: str, title: str, text: str) -> tuple[Chapter, str, bytes]:
    """Return a chapter, and the key and bytes of its text."""
    data = text.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    return Chapter(id, title, len(text), len(text) * 0.06, sha256), text_key(book.id, sha256), data

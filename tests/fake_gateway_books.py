"""The gateway's side of books and of their jobs, in memory, over the records of tests.fakes."""

import time
from collections.abc import Sequence
from dataclasses import replace

from shared.book_store import Decide
from shared.books import Book
from shared.children import ParentNews, Spent
from shared.jobs import Audio, Job, JobKind, JobState
from tests.fakes import InMemoryJobStore


class InMemoryAsyncBooks:
    """`let_gone` has keys that the sweeper deletes, and when."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.let_gone: dict[str, float] = {}

    async def create(self, book: Book) -> bool:
        return self.books.setdefault(book.id, book) is book

    async def get(self, book_id: str) -> Book | None:
        return self.books.get(book_id)

    async def change(self, book_id: str, decide: Decide) -> Book | None:
        book = self.books.get(book_id)
        changed = decide(book) if book else None
        if book is None or changed is None or changed == book:
            return book
        self.books[book_id] = replace(changed, touched_at=time.time())
        return self.books[book_id]

    async def page(self, tenant: str, *, before: str | None, limit: int) -> list[Book]:
        theirs = sorted((one for one in self.books.values() if one.tenant == tenant), key=lambda one: one.id)
        return [one for one in theirs[::-1] if before is None or one.id < before][:limit]

    async def forget(self, book: Book) -> None:
        del self.books[book.id]

    async def let_go(self, key: str, *, at: float) -> None:
        self.let_gone[key] = at


class InMemoryAsyncChildren:
    """The jobs of books and batches. `told` has what happened, by parent."""

    def __init__(self, records: InMemoryJobStore) -> None:
        self.records = records
        self.told: dict[str, list[ParentNews]] = {}

    async def jobs(self, ids: Sequence[str]) -> list[Job | None]:
        return [self.records.jobs.get(one) for one in ids]

    async def audio(self, addresses: Sequence[str]) -> list[Audio | None]:
        return [self.records.stored.get(one) for one in addresses]

    async def segment_audio(self, job_id: str) -> list[Audio]:
        steps = self.records.steps[job_id]
        numbers = sorted((name for name in steps if name.isdigit()), key=int)
        return [self.records.stored[steps[name].audio_address or ""] for name in numbers]

    async def counts(self, parent: str) -> dict[JobState, int]:
        theirs = [job for job in self.records.jobs.values() if job.parent == parent]
        return {state: sum(job.state is state for job in theirs) for state in JobState}

    async def spent(self, parent: str) -> Spent:
        jobs = [job for job in self.records.jobs.values() if job.parent == parent]
        theirs = [job for job in jobs if job.kind is JobKind.CHAPTER and job.engine_seconds]
        return Spent(sum(job.segments_done for job in theirs), sum(job.engine_seconds for job in theirs))

    async def page(self, parent: str, *, after: str, limit: int) -> list[str]:
        theirs = sorted(job.id for job in self.records.jobs.values() if job.parent == parent)
        return [one for one in theirs if one > after][:limit]

    async def news(self, parent: str, *, after: str = "") -> list[ParentNews]:
        return [one for one in self.told.get(parent, []) if one.id > after]

"""Lets go of the audio of editions that others have taken the place of, and of chapters encoded for them."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from shared.books import Book, BookState, state_of
from shared.errors import StoreUnavailable
from shared.jobs import Job, JobKind

log = logging.getLogger(__name__)

PAGE = 500
OF_EDITIONS = (JobKind.EDITION, JobKind.ENCODING)


class Books(Protocol):
    """What is needed of shared.book_store.RedisBooks."""

    def get(self, book_id: str) -> Book | None: ...


class Children(Protocol):
    """What is needed of shared.children.RedisChildJobs."""

    def jobs(self, ids: Sequence[str]) -> list[Job | None]: ...
    def page(self, parent: str, *, after: str, limit: int) -> list[str]: ...


class Records(Protocol):
    """What is needed of shared.sweep_store.RedisSweepStore."""

    def remove(self, job_id: str, *, now: float) -> None: ...


class Superseded:
    """The jobs of former editions of books. What a current one has too stays: audio goes with the last that has it."""

    def __init__(self, books: Books, children: Children, records: Records) -> None:
        self._books, self._children, self._records = books, children, records

    def let_go(self, book_id: str) -> None:
        """Remove them once the book is made: until then its editions find in them what was encoded before."""
        try:
            self._let_go(book_id)
        except StoreUnavailable:
            log.warning("Redis is away: former editions stay until the next", extra={"book": book_id})

    def _let_go(self, book_id: str) -> None:
        book = self._books.get(book_id)
        if book is None:
            return
        current = book.job_ids
        if state_of(book, dict(zip(current, self._children.jobs(current), strict=True))) is not BookState.SUCCEEDED:
            return
        for job_id in self._former(book):
            self._records.remove(job_id, now=time.time())

    def _former(self, book: Book) -> Iterator[str]:
        """Yield the jobs of former editions of the book, for as long as it is as it was."""
        current, after = set(book.job_ids), ""
        while ids := self._children.page(book.id, after=after, limit=PAGE):
            jobs = self._children.jobs(ids)
            if self._books.get(book.id) != book:  # it is made anew: what has ended since may be of its new editions
                return
            for job in jobs:
                if job and job.kind in OF_EDITIONS and job.finished and job.id not in current:
                    yield job.id
            after = ids[-1]

"""Looks after books: those at work get what they need next, those whose time is over go with all they have.

A worker that ends a book's job sees to it at once; this is for those that died before they could.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from shared import advance
from shared.books import Book
from shared.errors import AudioMissing
from sweeper import emptying
from sweeper.emptying import Records, emptied

log = logging.getLogger(__name__)

BOOKS_A_ROUND = 20  # whose time is over: each may have thousands of jobs


class Books(advance.Books, Protocol):
    """What is needed of shared.book_store.RedisBooks."""

    def unsettled(self) -> list[str]: ...
    def due(self, *, now: float, limit: int) -> list[str]: ...
    def forget(self, book: Book) -> None: ...


class Children(advance.Children, emptying.Children, Protocol):
    """What is needed of shared.children.RedisChildJobs."""


class Objects(Protocol):
    """What is needed of the object store."""

    def delete(self, key: str) -> None: ...
    def keys(self, prefix: str) -> Iterator[str]: ...


class BookCare:
    """A part of the sweeper's round."""

    def __init__(
        self,
        books: Books,
        children: Children,
        records: Records,
        objects: Objects,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._books, self._children, self._records, self._objects = books, children, records, objects
        self._clock = clock

    def advance(self, go_on: Callable[[], bool]) -> None:
        """Have the books go on that are being read or rendered."""
        for book_id in self._books.unsettled():
            if not go_on():
                return
            advance.advance(book_id, books=self._books, children=self._children)

    def expire(self, go_on: Callable[[], bool]) -> None:
        """Let the books go whose time is over: their jobs with their audio, their objects, their records."""
        now = self._clock()
        for book_id in self._books.due(now=now, limit=BOOKS_A_ROUND):
            book = self._books.get(book_id)
            if book and book.touched_at + book.keep_seconds <= now and self._emptied(book, go_on):
                self._books.forget(book)
                log.info("a book has expired", extra={"book": book_id})

    def _emptied(self, book: Book, go_on: Callable[[], bool]) -> bool:
        """Remove what the book has; whether it was all of it."""
        if not emptied(book.id, self._children, self._records, go_on=go_on, clock=self._clock):
            return False
        for key in list(self._objects.keys(f"books/{book.id}/")):
            try:
                self._objects.delete(key)
            except AudioMissing:
                continue
        return True

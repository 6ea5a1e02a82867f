"""A book whose file was not read, as a server was away for too long: it is read once more."""

from dataclasses import replace

from gateway.book_submission import NOTHING_SPOKEN, child, enqueue
from gateway.dependencies import Services
from shared.books import Book
from shared.children import child_id
from shared.errors import BookNotFound
from shared.jobs import JobKind
from shared.ports import Recorded


async def read_again(book: Book, services: Services) -> Book:
    """Have the book's file read, which is still there. Asked for twice at once, it is done once.

    The job is there before the book says so: if this gateway dies in between, the book is filled all the same.
    """
    job = child(book, JobKind.READING, child_id(book.id, f"reading after {book.reading_job}"))
    recorded = await services.jobs.create(job, NOTHING_SPOKEN)

    def begun(now: Book) -> Book | None:
        return replace(now, reading_job=job.id) if now.reading_job == book.reading_job else None

    changed = await services.books.change(book.id, begun)
    if changed is None:
        raise BookNotFound(book.id)
    if isinstance(recorded, Recorded):
        await enqueue(recorded, services)
    return changed

"""What is done with a book as a whole: render it, pause, go on, cancel, delete."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from anyio import to_thread

from gateway import delivery
from gateway.admission import most_ahead, overloaded
from gateway.book_reading import read_again
from gateway.book_submission import NOTHING_SPOKEN, child, enqueue
from gateway.dependencies import Services
from shared.accepted import REFUSED
from shared.books import Book, BookState, Wanted, chapter_fingerprint, seconds_of, state_of, usable
from shared.children import child_id
from shared.errors import (
    AudioMissing,
    BookConflict,
    BookNotFound,
    BookUnread,
    ChapterTooLong,
    JobError,
    NothingIncluded,
    Overloaded,
    QuotaExceeded,
    StorageUnavailable,
    StoreUnavailable,
)
from shared.jobs import Job, JobKind, JobState, Lane
from shared.ports import Recorded

READ = (
    *(BookState.READY, BookState.RENDERING, BookState.ASSEMBLING, BookState.PAUSED),
    *(BookState.SUCCEEDED, BookState.FAILED, BookState.CANCELLED),
)
AT_WORK = (BookState.RENDERING, BookState.ASSEMBLING)
STOPPED = (BookState.PAUSED, BookState.FAILED, BookState.CANCELLED)

LONGEST_CHAPTER_HOURS = 10.0  # a worker of the assembly lane has to encode it within its time limit
PAGE = 1000  # jobs in one look
AT_ONCE = 16  # jobs that are cancelled side by side
DELETING_SECONDS = 5.0  # the rest is the sweeper's


@dataclass(frozen=True)
class Looked:
    """A book, the jobs that its state follows from, and that state."""

    book: Book
    jobs: dict[str, Job | None]
    state: BookState

    @property
    def unread(self) -> bool:
        """Whether its file could not be read."""
        return self.state is BookState.FAILED and not self.book.chapters

    def has_to_be(self, doing: str, allowed: Iterable[BookState]) -> None:
        """Refuse what does not fit the state.

        Raises:
            BookUnread: its file could not be read, so there is nothing to be done with it.
            BookConflict: it is in another state.
        """
        if self.unread:
            reading = self.jobs.get(self.book.reading_job)
            failure = reading.failure if reading else None
            raise BookUnread(failure.message if failure else "its reading was cancelled")
        if self.state not in allowed:
            raise BookConflict(doing, self.state, allowed=allowed)


async def look(book: Book, services: Services) -> Looked:
    ids = book.job_ids if book.renders else [book.reading_job]
    jobs = dict(zip(ids, await services.children.jobs(ids), strict=True))
    return Looked(book, jobs, state_of(book, jobs))


async def render(book: Book, services: Services, *, formats: Iterable[str], loudness: str | None) -> Book:
    """Have the book spoken and its editions made; what was spoken before costs nothing.

    Raises:
        NothingIncluded, ChapterTooLong, BookConflict, BookUnread: there is nothing to speak, too much, or not now.
        QuotaExceeded, Overloaded: it is more than the tenant may have spoken, or than the lane can take.
    """
    looked = await look(book, services)
    looked.has_to_be("rendering", READ)
    if not book.included:
        raise NothingIncluded
    _check_lengths(book)
    await _check_lane(book, services)

    def begun(now: Book) -> Book:
        number = now.renders + 1
        return replace(
            now,
            wanted=Wanted.RENDER,
            formats=tuple(dict.fromkeys(formats)),
            loudness=loudness or now.loudness,
            renders=number,
            render_job=child_id(now.id, f"render {number}"),
        )

    changed = await services.books.change(book.id, begun)
    if changed is None:
        raise BookNotFound(book.id)
    try:
        recorded = await _record(changed, unspoken(looked), services)
    except JobError:
        await services.books.change(book.id, lambda now: _not_begun(now, changed, book))
        raise
    await enqueue(recorded, services)
    return changed


def _check_lengths(book: Book) -> None:
    for chapter in book.included:
        hours = seconds_of(book, chapter) / 3600
        if hours > LONGEST_CHAPTER_HOURS:
            raise ChapterTooLong(chapter.id, hours, limit=LONGEST_CHAPTER_HOURS)


def unspoken(looked: Looked) -> Job:
    """Return what is still to be spoken as if it were one job."""
    left = [
        chapter
        for chapter in looked.book.included
        if chapter.spoken_as != chapter_fingerprint(looked.book, chapter) or not usable(looked.jobs.get(chapter.job))
    ]
    return replace(
        child(looked.book, JobKind.CHAPTER, looked.book.id),
        characters=sum(chapter.characters for chapter in left),
        estimated_seconds=sum(seconds_of(looked.book, chapter) for chapter in left),
    )


def _not_begun(now: Book, begun: Book, before: Book) -> Book | None:
    """Return the book as if the render had not been, unless something else was done with it since."""
    if now.render_job != begun.render_job:
        return None
    return replace(
        now,
        wanted=before.wanted,
        formats=before.formats,
        loudness=before.loudness,
        render_job=before.render_job,
    )


async def _check_lane(book: Book, services: Services) -> None:
    load = await services.known.load(Lane.BULK)
    ahead = most_ahead(load, Lane.BULK, services.settings)
    if ahead and load.waiting >= ahead:
        REFUSED.labels(book.tenant, Overloaded.code).inc()
        raise overloaded(Lane.BULK, services.settings)


async def _record(book: Book, to_speak: Job, services: Services) -> Recorded:
    """Record the job that has the chapters spoken, if they are within the tenant's limits."""
    limits = replace(await services.quotas.limits(book.tenant), concurrent_jobs=0)  # a book's jobs are no jobs of those
    job = child(book, JobKind.RENDER, book.render_job)
    try:
        recorded = await services.jobs.create(job, NOTHING_SPOKEN, limits=limits, stands_for=to_speak)
    except QuotaExceeded as error:
        REFUSED.labels(book.tenant, error.quota).inc()
        raise await services.quotas.refusal(error, book.tenant, await services.known.load(Lane.BULK)) from None
    if isinstance(recorded, str):
        raise RuntimeError("a job without an idempotency key has one")
    services.quotas.show_used(to_speak, limits, recorded.used)
    return recorded


async def go_on(book: Book, services: Services, *, doing: str) -> Book:
    """Render the book again as it was asked for, or read it if that has failed; one that is at work is left alone.

    Raises:
        BookConflict: it was never begun, or is done.
    """
    looked = await look(book, services)
    if looked.state in AT_WORK:
        return book
    if looked.unread:
        return await read_again(book, services)
    looked.has_to_be(doing, STOPPED)
    return await render(book, services, formats=book.formats, loudness=None)


async def stop(book: Book, services: Services, *, wanted: Wanted) -> Book:
    """Pause or cancel a book: what is spoken stays, what is not is cancelled.

    Raises:
        BookConflict, BookUnread: nothing is done with it.
    """
    looked = await look(book, services)
    pauses = wanted is Wanted.PAUSE
    allowed = (*AT_WORK, BookState.PAUSED) if pauses else (*AT_WORK, *STOPPED)
    looked.has_to_be("pausing" if pauses else "cancelling", allowed)
    changed = await services.books.change(book.id, lambda now: replace(now, wanted=wanted))
    if changed is None:
        raise BookNotFound(book.id)
    await _cancel_unfinished(book, services)
    return changed


async def delete(book: Book, services: Services) -> None:
    """Delete a book with all that is its own. It is gone at once; what takes longer, the sweeper does."""
    over = await services.books.change(book.id, lambda now: replace(now, wanted=Wanted.CANCEL, keep_seconds=0.0))
    if over is None:
        return
    until = time.monotonic() + DELETING_SECONDS
    with suppress(StorageUnavailable, StoreUnavailable, TimeoutError):
        await _cancel_unfinished(over, services)
        await _remove_jobs(over, services, until=until)
        await _delete_objects(over, services, until=until)
        await services.books.forget(over)


async def _cancel_unfinished(book: Book, services: Services) -> None:
    async for ids in _children(book, services):
        jobs = await services.children.jobs(ids)
        left = [job.id for job in jobs if job and job.state in (JobState.QUEUED, JobState.RUNNING)]
        for start in range(0, len(left), AT_ONCE):
            await asyncio.gather(*(services.jobs.cancel(one) for one in left[start : start + AT_ONCE]))


async def _remove_jobs(book: Book, services: Services, *, until: float) -> None:
    async for ids in _children(book, services):
        for one in ids:
            _in_time(until)
            await delivery.delete_objects(await services.jobs.remove(one), services)


async def _delete_objects(book: Book, services: Services, *, until: float) -> None:
    keys = await to_thread.run_sync(lambda: list(services.objects.keys(f"books/{book.id}/")))
    for key in keys:
        _in_time(until)
        with suppress(AudioMissing):
            await to_thread.run_sync(services.objects.delete, key)


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError


async def _children(book: Book, services: Services) -> AsyncIterator[list[str]]:
    """Yield the ids of all of the book's jobs, some at a time; those that are removed meanwhile don't matter."""
    after = ""
    while ids := await services.children.page(book.id, after=after, limit=PAGE):
        yield ids
        after = ids[-1]

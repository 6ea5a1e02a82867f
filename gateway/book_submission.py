"""A new book: its record, its file, and the job that reads it; in that order, so that nothing is left unknown."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass

import uuid_utils
from anyio import to_thread

from gateway.book_schemas import BookOptions
from gateway.book_voicing import changed_metadata, new_voicing, voices_named
from gateway.dependencies import Services
from gateway.receiving import Received
from gateway.voice_offer import offer_to
from shared import tracing
from shared.books import Book, fingerprint
from shared.children import child_id
from shared.errors import AudioMissing, EmptyFile, JobError, KeepTooLong, QueueUnavailable, StorageUnavailable
from shared.jobs import Job, JobKind, Lane, SpeechRequest
from shared.ports import Recorded

log = logging.getLogger(__name__)

READING_OPTIONS = ("footnotes", "tables", "image_descriptions")
NOTHING_SPOKEN = SpeechRequest("", "", "neutral", 1.0, 1.0, "wav", 0, 0)  # of a job that speaks nothing itself


@dataclass(frozen=True)
class NewBook:
    """The book that a request led to; `replayed` when an earlier request with the same key had made it."""

    book: Book
    replayed: bool


async def submit_book(
    received: Received, options: BookOptions, services: Services, *, key: str, tenant: str
) -> NewBook:
    """Accept a book's file.

    Raises:
        JobError: it can't be read aloud so, or a server is away.
    """
    book = await _new_book(received, options, services, tenant=tenant)
    await services.books.create(book)
    try:
        await _store(book, received, services)
        made_of = fingerprint(options.model_dump(exclude_none=True), received.sha256, received.name) if key else ""
        owner = await _begin_to_read(book, services, key=key, made_of=made_of)
    except JobError:
        await _take_back(book, services)
        raise
    if owner == book.reading_job:
        return NewBook(book, replayed=False)
    await _take_back(book, services)
    known = await _book_of(owner, services)
    if known is None:  # it was deleted meanwhile
        await services.jobs.forget_key(tenant, key, owner)
        return await submit_book(received, options, services, key=key, tenant=tenant)
    return NewBook(known, replayed=True)


async def _new_book(received: Received, options: BookOptions, services: Services, *, tenant: str) -> Book:
    if not received.bytes:
        raise EmptyFile
    longest = services.settings.keep_seconds
    if options.keep_seconds and options.keep_seconds > longest:
        raise KeepTooLong(options.keep_seconds, limit=longest)
    book_id, now = str(uuid_utils.uuid7()), time.time()
    offer = await offer_to(tenant, voices_named(options), services)
    reading = {name: getattr(options, name) for name in READING_OPTIONS if getattr(options, name) is not None}
    return Book(
        id=book_id,
        tenant=tenant,
        created_at=now,
        source_name=received.name,
        source_bytes=received.bytes,
        source_sha256=received.sha256,
        voicing=new_voicing(options, offer, services.settings),
        touched_at=now,
        keep_seconds=options.keep_seconds or longest,
        options=reading,
        reading_job=child_id(book_id, "reading"),
        metadata=changed_metadata({}, options.metadata),
    )


async def _store(book: Book, received: Received, services: Services) -> None:
    received.file.seek(0)
    await to_thread.run_sync(
        lambda: services.objects.put(
            book.source_key, received.file, length=received.bytes, content_type="application/octet-stream"
        )
    )


async def _begin_to_read(book: Book, services: Services, *, key: str, made_of: str) -> str:
    """Return the id of the job, or of the one that an earlier request with the same idempotency key has made."""
    job = child(book, JobKind.READING, book.reading_job)
    recorded = await services.jobs.create(job, NOTHING_SPOKEN, key=key, fingerprint=made_of)
    if isinstance(recorded, str):
        return recorded
    await enqueue(recorded, services)
    return job.id


def child(book: Book, kind: JobKind, job_id: str) -> Job:
    """Return a new job of the book that needs no engine."""
    return Job(
        id=job_id,
        lane=Lane.BULK,
        characters=0,
        created_at=time.time(),
        keep_seconds=book.keep_seconds,
        tenant=book.tenant,
        trace=tracing.current().traceparent,
        kind=kind,
        parent=book.id,
    )


async def enqueue(recorded: Recorded, services: Services) -> None:
    """Enqueue what has got its turn. No book is refused for want of a broker: the sweeper sends what is left."""
    for step in recorded.ready:
        try:
            await services.queue.enqueue(step.job_id, step.step, lane=step.lane)
        except QueueUnavailable as error:
            log.warning("the sweeper has to send a step: %s", error)


async def _take_back(book: Book, services: Services) -> None:
    """Forget a book that was not accepted after all."""
    with suppress(AudioMissing, StorageUnavailable):
        await to_thread.run_sync(services.objects.delete, book.source_key)
    await services.books.forget(book)


async def _book_of(job_id: str, services: Services) -> Book | None:
    [job] = await services.children.jobs([job_id])
    return await services.books.get(job.parent) if job else None

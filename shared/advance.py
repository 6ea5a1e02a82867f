"""What a book needs next: its editions once its chapters are spoken. Asked again, it does nothing twice."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from shared.book_store import Decide
from shared.books import Book, BookState, Edition, Wanted, chapter_fingerprint, fingerprint, spoken, state_of, usable
from shared.children import child_id
from shared.edition_order import chapter_format, edition_order, encoding_order, with_edition
from shared.jobs import Job, JobKind, JobState, Lane, SpeechRequest
from shared.ports import Reopened

SETTLED = (BookState.READY, BookState.SUCCEEDED, BookState.FAILED)
LONGEST_BEGINNING_SECONDS = 3600.0  # from a book's record to that of the job it waits for: its file is stored between


class Books(Protocol):
    """What is needed of shared.book_store.RedisBooks, which says what each does."""

    def get(self, book_id: str) -> Book | None: ...
    def change(self, book_id: str, decide: Decide) -> Book | None: ...
    def settled(self, book: Book) -> None: ...


class Children(Protocol):
    """What is needed of shared.children.RedisChildJobs."""

    def create(self, job: Job, request: SpeechRequest) -> bool: ...
    def jobs(self, ids: Sequence[str]) -> list[Job | None]: ...
    def cancel(self, job_id: str) -> None: ...
    def reopen(self, job_id: str) -> Reopened | None: ...


def advance(book_id: str, *, books: Books, children: Children) -> bool:
    """Have the editions made that are wanted of a book whose chapters are all spoken; give up what nobody has begun.

    Returns:
        whether they are all spoken.
    """
    book = books.get(book_id)
    if book and _at_work_for_long(book, children):
        return False
    jobs = jobs_of(book, children) if book else {}
    complete = book is not None and spoken(book, jobs)
    if book and book.wanted is Wanted.RENDER and complete:
        for format in book.formats:
            _have_made(book, format, jobs, books, children)
        book = books.get(book_id)
        jobs = jobs_of(book, children) if book else {}
    if book and _never_begun(book, jobs):
        books.change(book_id, partial(_given_up, book))
    elif book and state_of(book, jobs) in SETTLED:
        books.settled(book)
    return complete


def _at_work_for_long(book: Book, children: Children) -> bool:
    """Whether the last chapter is not spoken: then nothing is to be done, and the other jobs need not be read."""
    if book.wanted is not Wanted.RENDER or not book.included:
        return False
    [job] = children.jobs([book.included[-1].job])
    return job is not None and not job.finished


def encode_ahead(book_id: str, chapter_jobs: Sequence[str], *, books: Books, children: Children) -> None:
    """Have those chapters encoded that are spoken as they are wanted, before the editions need them.

    If it fails, these do it.
    """
    book = books.get(book_id)
    if book is None or book.wanted is not Wanted.RENDER:
        return
    known = set(chapter_jobs)
    included = [chapter for chapter in book.included if chapter.job in known]
    wanted = {one.job: one for one in included if one.spoken_as == chapter_fingerprint(book, one)}
    for job in children.jobs([one for one in chapter_jobs if one in wanted]):
        if job is None or job.state is not JobState.SUCCEEDED:
            continue
        for format in dict.fromkeys(map(chapter_format, book.formats)):
            order = encoding_order(book, wanted[job.id], job, format)
            name = f"encoding {fingerprint(order)} {book.renders}"
            children.create(encoding_job(book, child_id(book.id, name)), order.request(book))


def _never_begun(book: Book, jobs: dict[str, Job | None]) -> bool:
    """Whether the gateway died, or lost Redis, between the book's record and that of the job that it waits for."""
    rendering = book.render_job if book.wanted is Wanted.RENDER else ""
    awaited = rendering if book.chapters else book.reading_job
    overdue = book.touched_at + LONGEST_BEGINNING_SECONDS < time.time()
    return bool(awaited) and jobs.get(awaited) is None and overdue


def _given_up(book: Book, now: Book) -> Book | None:
    """Return the book without what nobody has begun; one that is not even read is to be deleted."""
    if now != book:
        return None
    return replace(book, wanted=Wanted.NOTHING) if book.chapters else replace(book, keep_seconds=0.0)


def jobs_of(book: Book, children: Children) -> dict[str, Job | None]:
    """Return all jobs that the book's state follows from, by id."""
    ids = book.job_ids
    return dict(zip(ids, children.jobs(ids), strict=True))


def _have_made(book: Book, format: str, jobs: dict[str, Job | None], books: Books, children: Children) -> None:
    order, made_of = edition_order(book, format, jobs)
    known = next((one for one in book.editions if one.format == format), None)
    edition = Edition(format, child_id(book.id, f"{format} {made_of} {book.renders}"), made_of)
    job = jobs.get(known.job) if known else None
    failed_before = job is not None and job.id == edition.job  # in this render
    if known and known.made_of == made_of and (usable(job) or failed_before):
        return
    children.create(edition_job(book, edition), order.request(book))

    def record(now: Book) -> Book | None:
        same = now.wanted is Wanted.RENDER and edition_order(now, format, jobs)[1] == made_of
        return replace(now, editions=with_edition(now, edition)) if same else None

    recorded = books.change(book.id, record)
    if recorded is None or edition not in recorded.editions:
        children.cancel(edition.job)
    elif known and known.job != edition.job:
        children.cancel(known.job)


def edition_job(book: Book, edition: Edition) -> Job:
    """Return a new job that makes an edition: its segments are the chapters, encoded."""
    return replace(encoding_job(book, edition.job), long=True, segments_total=0, kind=JobKind.EDITION)


def encoding_job(book: Book, job_id: str) -> Job:
    """Return a new job that encodes a chapter."""
    return Job(
        id=job_id,
        lane=Lane.ASSEMBLY,
        characters=0,
        created_at=time.time(),
        tenant=book.tenant,
        keep_seconds=book.keep_seconds,
        kind=JobKind.ENCODING,
        parent=book.id,
    )

"""What is a caller's own."""

import time

from gateway.auth.caller import Caller
from gateway.dependencies import Services
from shared.batches import BatchView
from shared.books import Book
from shared.errors import BatchNotFound, BookNotFound, JobNotFound, VoiceNotFound
from shared.ports import JobView
from shared.voice_library import PREFIX, LibraryVoice

JOB_ID_LENGTH = 36  # a UUID; longer ones are no ids of ours, and have no place in an answer


async def own_job(job_id: str, services: Services, caller: Caller) -> JobView:
    """Return the job if it is the caller's; another tenant's is as good as none.

    Raises:
        JobNotFound: it is not there, or not the caller's.
    """
    view = await services.jobs.view(job_id) if len(job_id) == JOB_ID_LENGTH else None
    if view is None or not caller.sees(view.job.tenant):
        raise JobNotFound(job_id[:JOB_ID_LENGTH])
    return view


async def own_book(book_id: str, services: Services, caller: Caller) -> Book:
    """Return the book if it is the caller's; one that is being deleted is as good as none.

    Raises:
        BookNotFound: it is not there, or not the caller's.
    """
    book = await services.books.get(book_id) if len(book_id) == JOB_ID_LENGTH else None
    if book is None or is_over(book) or not caller.sees(book.tenant):
        raise BookNotFound(book_id[:JOB_ID_LENGTH])
    return book


async def own_batch(batch_id: str, services: Services, caller: Caller) -> BatchView:
    """Return the batch if it is the caller's; one that is being deleted is as good as none.

    Raises:
        BatchNotFound: it is not there, or not the caller's.
    """
    view = await services.batches.view(batch_id) if len(batch_id) == JOB_ID_LENGTH else None
    if view is None or not caller.sees(view.batch.tenant):
        raise BatchNotFound(batch_id[:JOB_ID_LENGTH])
    return view


async def own_voice(voice_id: str, services: Services, caller: Caller) -> LibraryVoice:
    """Return the voice if it is the caller's; one that is being deleted, or came with a job, is as good as none.

    Raises:
        VoiceNotFound: it is not there, or not the caller's.
    """
    longest = len(PREFIX) + JOB_ID_LENGTH
    voice = await services.voices.get(voice_id) if len(voice_id) == longest else None
    if voice is None or voice.over or voice.brought_by or not caller.sees(voice.tenant):
        raise VoiceNotFound(voice_id[:longest])
    return voice


def is_over(book: Book) -> bool:
    """Whether its time is over: the sweeper deletes it."""
    return book.touched_at + book.keep_seconds <= time.time()

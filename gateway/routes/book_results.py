"""What comes of a book: its editions, its chapters' audio, a report, and its events."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway import delivery
from gateway.auth.caller import Caller
from gateway.book_rendering import AT_WORK, Looked, look
from gateway.book_schemas import BookEvent, BookReport, ChapterReport, EditionReport, EncodedReport
from gateway.book_showing import current_jobs, edition_file, file_stem
from gateway.dependencies import ReaderDep, Services, ServicesDep
from gateway.owned import own_book, own_job
from gateway.parent_events import check_after, told
from gateway.ranges import AskedDep
from gateway.routes.books import chapter_of
from gateway.routes.events import EVENTS, LatestDep, sent
from gateway.routes.problems import problems
from gateway.schemas import JobError
from shared.audio_formats import FORMATS as AUDIO_FORMATS
from shared.books import FORMATS, Book, BookState, Edition
from shared.children import ParentNews
from shared.errors import AudioNotReady, BookNotFound, EditionNotFound
from shared.jobs import Audio, Job, JobState
from shared.shown import at

router = APIRouter(prefix="/v1/books", tags=["books"])

_FILE: dict[int | str, dict[str, Any]] = {
    206: {"description": "The asked range."},
    307: {"description": "A presigned link, where the gateway is set to redirect."},
    **problems(404, 409, 410, 416, 503),
}


@router.head("/{book_id}/editions/{format}", include_in_schema=False)
@router.get(
    "/{book_id}/editions/{format}",
    response_class=StreamingResponse,
    responses={200: {"content": {content_type: {} for content_type, _ in FORMATS.values()}}, **_FILE},
)
async def get_edition(
    book_id: str,
    format: str,
    services: ServicesDep,
    caller: ReaderDep,
    asked: AskedDep,
) -> Response:
    """Fetch an edition, whole or a range of bytes."""
    book = await own_book(book_id, services, caller)
    edition = next((one for one in book.editions if one.format == format), None)
    if edition is None:
        raise EditionNotFound(format[:20], [one.format for one in book.editions])
    audio = await delivery.audio_of(await own_job(edition.job, services, caller), services)
    return await delivery.handed_out(edition_file(book, edition, audio), asked, services)


@router.head("/{book_id}/chapters/{chapter_id}/audio", include_in_schema=False)
@router.get(
    "/{book_id}/chapters/{chapter_id}/audio",
    response_class=StreamingResponse,
    responses={200: {"content": {AUDIO_FORMATS["flac"].content_type: {}}}, **_FILE},
)
async def get_chapter_audio(
    book_id: str,
    chapter_id: str,
    services: ServicesDep,
    caller: ReaderDep,
    asked: AskedDep,
) -> Response:
    """Fetch a chapter as it was spoken last: FLAC at the engine's rate, not yet as loud as an edition."""
    book = await own_book(book_id, services, caller)
    chapter = chapter_of(book, chapter_id)
    if not chapter.job:
        raise AudioNotReady("not asked for yet")
    audio = await delivery.audio_of(await own_job(chapter.job, services, caller), services)
    form = AUDIO_FORMATS[audio.format]
    name = f"{file_stem(book)} - {chapter.id}.{form.extension}"
    file = delivery.AudioFile(chapter.job, audio, name, form.content_type)
    return await delivery.handed_out(file, asked, services)


@router.get("/{book_id}/report", responses=problems(404, 503))
async def get_report(book_id: str, services: ServicesDep, caller: ReaderDep) -> BookReport:
    """What was measured, spoken again, or not spoken as it was written, chapter by chapter."""
    looked = await look(await own_book(book_id, services, caller), services)
    jobs = current_jobs(looked)
    chapters = [
        ChapterReport(
            id=one.id,
            title=one.title,
            seconds=round(audio.seconds, 3),
            retakes=list(audio.retakes),
            warnings=list(audio.warnings),
        )
        for one in looked.book.included
        if one.id in jobs and (audio := await _audio(jobs[one.id], services))
    ]
    editions = [
        await _reported(one, audio, services)
        for one in looked.book.editions
        if (audio := await _audio(looked.jobs.get(one.job), services))
    ]
    return BookReport(chapters=chapters, editions=editions)


async def _audio(job: Job | None, services: Services) -> Audio | None:
    """One at a time: the record of a chapter has all its words."""
    return (await services.children.audio([job.audio_address]))[0] if job and job.audio_address else None


async def _reported(edition: Edition, audio: Audio, services: Services) -> EditionReport:
    encoded = await services.children.segment_audio(edition.job)
    return EditionReport(
        format=edition.format,
        seconds=round(audio.seconds, 3),
        warnings=list(audio.warnings),
        chapters=[
            EncodedReport(seconds=round(one.seconds, 3), measured=one.measured, warnings=list(one.warnings))
            for one in encoded
        ],
    )


async def _after(book_id: str, services: ServicesDep, caller: ReaderDep, after: LatestDep) -> str:
    """Return after which event to go on. What is wrong is told here, before the stream has begun.

    Raises:
        BookNotFound: it is not there, or not the caller's.
        HTTPException: 204: nothing is being done with it, and the client knows all that was.
    """
    looked = await look(await own_book(book_id, services, caller), services)
    await check_after(book_id, services, after=after, at_rest=_at_rest(looked))
    return after


@router.get("/{book_id}/events", response_class=EventSourceResponse, responses=EVENTS)
async def book_events(
    book_id: str, request: Request, services: ServicesDep, caller: ReaderDep, after: Annotated[str, Depends(_after)]
) -> AsyncIterator[BookEvent]:
    """Hear of each change of a book and of its jobs, while something is being done with it.

    Events are named by what they are of and its state: `chapter.running`, `edition.succeeded`, `book.rendering`.
    """
    events = told(
        book_id,
        request,
        services,
        after=after,
        look=lambda: _looked(book_id, services, caller),
        at_rest=_at_rest,
        event=_event,
    )
    async for event in events:
        yield sent(event)


async def _looked(book_id: str, services: Services, caller: Caller) -> Looked | None:
    try:
        return await look(await own_book(book_id, services, caller), services)
    except BookNotFound:
        return None


def _at_rest(looked: Looked) -> bool:
    return looked.state not in (BookState.READING, *AT_WORK)


def _event(looked: Looked, news: ParentNews) -> ServerSentEvent:
    data, book = news.data, looked.book
    job_id = data.get("job_id", "")
    kind, state = (data["kind"], JobState(data["state"])) if job_id else ("book", looked.state)
    failure = data.get("failure")
    event = BookEvent(
        book=book.id,
        kind=kind,
        chapter=_chapter_of(book, job_id),
        format=next((one.format for one in book.editions if one.job == job_id), None),
        state=state,
        segments_done=data.get("segments_done", 0),
        segments_total=data.get("segments_total", 0),
        at=at(int(news.id.partition("-")[0]) / 1000),
        error=JobError(code=failure["code"], message=failure["message"]) if failure else None,
    )
    return ServerSentEvent(event=f"{kind}.{state}", id=news.id, data=event)


def _chapter_of(book: Book, job_id: str) -> str | None:
    return next((one.id for one in book.chapters if job_id and one.job == job_id), None)

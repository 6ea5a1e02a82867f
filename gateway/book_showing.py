"""A book as the API shows it: its record, how far its jobs are, and what is to be expected."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from gateway import delivery
from gateway.book_rendering import AT_WORK, Looked
from gateway.book_schemas import (
    BookCover,
    BookLinks,
    BookProgress,
    BookSource,
    BookStatus,
    BookSummary,
    ChapterStatus,
    Cost,
    EditionStatus,
    Voiced,
)
from gateway.dependencies import Services
from gateway.schemas import JobError
from shared.books import FORMATS, Book, Chapter, Edition, Voicing, chapter_fingerprint, seconds_of
from shared.children import Spent
from shared.jobs import Audio, Failure, Job, JobState, Lane
from shared.ports import LaneLoad
from shared.shown import at
from shared.voice_library import as_named

USUAL_SEGMENT_SECONDS = 10.0  # of a chapter, about a paragraph, until a chapter of the book is planned


@dataclass(frozen=True)
class Expected:
    """The segments of what is to be spoken."""

    done: int
    total: int
    waiting: int  # planned, and not done: they are in the lane

    @property
    def left(self) -> int:
        return max(self.total - self.done, 0)


def summary(looked: Looked) -> BookSummary:
    return BookSummary(**_summary(looked))


async def status(looked: Looked, services: Services) -> BookStatus:
    book, settings = looked.book, services.settings
    current = current_jobs(looked)
    expected = expected_segments(book, current)
    load, spent = await services.known.load(Lane.BULK), await services.children.spent(book.id)
    return BookStatus(
        **_summary(looked),
        notes=list(book.notes),
        voicing=voiced(book.voicing),
        loudness=book.loudness,
        cover=BookCover(content_type=book.cover_type, sha256=book.cover_sha256) if book.cover_sha256 else None,
        progress=BookProgress(
            chapters_done=sum(
                one.id in current and current[one.id].state is JobState.SUCCEEDED for one in book.included
            ),
            chapters_total=len(book.included),
            segments_done=expected.done,
            segments_total=expected.total,
        ),
        eta_seconds=eta_seconds(expected, load) if looked.state in AT_WORK else None,
        cost=cost(expected, load, spent, price=settings.engine_hour_price),
        chapters=[_chapter(book, chapter, current.get(chapter.id)) for chapter in book.chapters],
        editions=await _editions(looked, services),
        error=_error(looked),
    )


def voiced(voicing: Voicing) -> Voiced:
    """Return the voicing as its owner names the voices."""
    speakers = {speaker: as_named(voice) for speaker, voice in voicing.speakers.items()}
    voice, dialogue_voice = as_named(voicing.voice), as_named(voicing.dialogue_voice)
    return Voiced(**asdict(replace(voicing, voice=voice, dialogue_voice=dialogue_voice, speakers=speakers)))


def _summary(looked: Looked) -> dict[str, Any]:
    book = looked.book
    return {
        "id": book.id,
        "state": looked.state,
        "created_at": at(book.created_at),
        "changed_at": at(book.touched_at),
        "expires_at": at(book.touched_at + book.keep_seconds),
        "source": BookSource(name=book.source_name, bytes=book.source_bytes, sha256=book.source_sha256),
        "reading": book.options,
        "metadata": book.metadata,
        "characters": sum(chapter.characters for chapter in book.included),
        "estimated_minutes": round(sum(seconds_of(book, chapter) for chapter in book.included) / 60, 1),
        "formats": list(book.formats),
        "links": BookLinks(
            self=f"/v1/books/{book.id}", events=f"/v1/books/{book.id}/events", report=f"/v1/books/{book.id}/report"
        ),
    }


def current_jobs(looked: Looked) -> dict[str, Job]:
    """Return the jobs that speak the chapters as they are now, by the chapters' ids."""
    return {
        chapter.id: job
        for chapter in looked.book.included
        if (job := looked.jobs.get(chapter.job)) and chapter.spoken_as == chapter_fingerprint(looked.book, chapter)
    }


def expected_segments(book: Book, current: dict[str, Job]) -> Expected:
    """Return how many segments there are and will be: those that are planned tell how many the others may have."""
    planned = {one.id: current[one.id] for one in book.included if one.id in current and current[one.id].segments_total}
    total = sum(job.segments_total for job in planned.values())
    in_lane = [job for job in planned.values() if not job.finished]
    heard = sum(seconds_of(book, one) for one in book.included if one.id in planned)
    each = heard / total if total and heard else USUAL_SEGMENT_SECONDS
    unplanned = [seconds_of(book, one) for one in book.included if one.id not in planned]
    return Expected(
        done=sum(job.segments_done for job in planned.values()),
        total=total + sum(max(round(seconds / each), 1) for seconds in unplanned),
        waiting=sum(job.segments_total - job.segments_done for job in in_lane),
    )


def eta_seconds(expected: Expected, load: LaneLoad) -> float | None:
    """Return when the last segment may be spoken: the lane takes turns between this book and what else waits there."""
    if load.seconds_per_step is None or load.service_seconds is None:
        return None
    if not expected.left:
        return 0.0
    others = min(max(load.waiting - expected.waiting, 0), expected.left)
    return round((expected.left + others) * load.seconds_per_step + load.service_seconds, 1)


def cost(expected: Expected, load: LaneLoad, spent: Spent, *, price: float) -> Cost:
    """Return what was spent, and what is left: at what the book's own segments took, or else the lane's."""
    each = spent.engine_seconds / spent.segments if spent.segments else load.service_seconds
    left = None if each is None else round(expected.left * each, 1)
    hours = (spent.engine_seconds + (left or 0)) / 3600
    return Cost(
        engine_seconds=round(spent.engine_seconds, 3),
        engine_seconds_left=left,
        price=round(hours * price, 2) if price and left is not None else None,
    )


def _chapter(book: Book, chapter: Chapter, job: Job | None) -> ChapterStatus:
    link = f"/v1/books/{book.id}/chapters/{chapter.id}"
    spoken = job is not None and job.state is JobState.SUCCEEDED
    return ChapterStatus(
        id=chapter.id,
        title=chapter.title,
        characters=chapter.characters,
        estimated_minutes=round(seconds_of(book, chapter) / 60, 1),
        included=chapter.included,
        voice=as_named(chapter.voice) or None,
        emotion=chapter.emotion or None,
        speed=chapter.speed,
        state=job.state if job else None,
        segments_done=job.segments_done if job else 0,
        segments_total=job.segments_total if job else 0,
        audio_seconds=job.audio_seconds if job and spoken else None,
        error=_failed(job.failure if job else None),
        text=f"{link}/text",
        audio=f"{link}/audio" if spoken else None,
    )


async def _editions(looked: Looked, services: Services) -> list[EditionStatus]:
    made = {one.format: one for one in looked.book.editions}
    jobs = {format: looked.jobs.get(one.job) for format, one in made.items()}
    addresses = [(job.audio_address if job else None) or "" for job in jobs.values()]
    audio = dict(zip(jobs, await services.children.audio(addresses), strict=True))
    formats = dict.fromkeys([*looked.book.formats, *made])
    return [_edition(looked.book, format, jobs.get(format), audio.get(format), services) for format in formats]


def _edition(book: Book, format: str, job: Job | None, audio: Audio | None, services: Services) -> EditionStatus:
    url = delivery.link(edition_file(book, Edition(format, job.id, ""), audio), services) if job and audio else None
    return EditionStatus(
        format=format,
        state=job.state if job else None,
        audio=f"/v1/books/{book.id}/editions/{format}" if audio else None,
        url=url,
        url_expires_at=at(int(time.time()) + services.settings.link_seconds) if url else None,
        bytes=audio.bytes if audio else None,
        seconds=round(audio.seconds, 3) if audio else None,
        sha256=audio.sha256 if audio else None,
        content_type=FORMATS[format][0],
        warnings=len(audio.warnings) if audio else 0,
        error=_failed(job.failure if job else None),
    )


def edition_file(book: Book, edition: Edition, audio: Audio) -> delivery.AudioFile:
    content_type, extension = FORMATS[edition.format]
    return delivery.AudioFile(edition.job, audio, f"{file_stem(book)}.{extension}", content_type)


def file_stem(book: Book) -> str:
    """Return the book's title as it may stand in a file's name."""
    title = "".join(
        one if one.isprintable() and one not in '/\\:*?"<>|' else " " for one in book.metadata.get("title", "")
    )
    return " ".join(title.split())[:100].strip(". ") or book.id


def _error(looked: Looked) -> JobError | None:
    """Return the first failure of a job that the book needs."""
    return _failed(next((one.failure for one in looked.jobs.values() if one and one.failure), None))


def _failed(failure: Failure | None) -> JobError | None:
    return JobError(code=failure.code, message=failure.message) if failure else None

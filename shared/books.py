"""A book: the file it was read from, its chapters, how it is read aloud, and the jobs that do it. Pure.

A book has no state of its own that a job's end would have to change: how far it is follows from its jobs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from shared.jobs import KEEP_SECONDS, Job, JobState, Narration, SpeechRequest

MOST_CHAPTERS = 2_000
FORMATS = {  # of an edition: content type and extension
    "m4b": ("audio/mp4", "m4b"),
    "mp3": ("application/zip", "zip"),
    "opus": ("application/zip", "zip"),
    "flac": ("application/zip", "zip"),
    "wav": ("application/zip", "zip"),
    "srt": ("application/x-subrip", "srt"),
    "vtt": ("text/vtt", "vtt"),
    "epub": ("application/epub+zip", "epub"),
}


class BookState(StrEnum):
    """Where a book is."""

    READING = "reading"  # its file is
    READY = "ready"  # to be rendered: its chapters are known
    RENDERING = "rendering"  # its chapters are spoken
    ASSEMBLING = "assembling"  # its editions are made
    PAUSED = "paused"
    SUCCEEDED = "succeeded"  # every edition that was asked for is there
    FAILED = "failed"  # a part of it did; what is done stays, and can be gone on with
    CANCELLED = "cancelled"


class Wanted(StrEnum):
    """What the owner wants of a book."""

    NOTHING = "nothing"  # yet
    RENDER = "render"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Voicing:
    """How a book, or a chapter of it, is spoken. Names of voices and emotions are the engine's."""

    voice: str
    emotion: str = "neutral"
    emotion_strength: float = 1.0
    speed: float = 1.0
    seed: int = 0
    dialogue_voice: str = ""
    speakers: dict[str, str] = field(default_factory=dict[str, str])
    pronunciations: dict[str, str] = field(default_factory=dict[str, str])
    pause_scale: float = 1.0


@dataclass(frozen=True)
class Chapter:
    """A part of a book that is spoken, and encoded, as one."""

    id: str  # as it was read: "1", "2", ...; it never changes
    title: str
    characters: int
    estimated_seconds: float
    text_sha256: str  # its marked text is the object of that name
    included: bool = True
    voice: str = ""  # these three: as the book's, unless they are said
    emotion: str = ""
    speed: float | None = None
    job: str = ""  # the latest that speaks it
    spoken_as: str = ""  # the fingerprint of what that job speaks


@dataclass(frozen=True)
class Edition:
    """A book in one format."""

    format: str
    job: str
    made_of: str  # the fingerprint of what it is made of


@dataclass(frozen=True)
class Book:
    """A book as it is recorded."""

    id: str
    tenant: str
    created_at: float
    source_name: str
    source_bytes: int
    source_sha256: str
    voicing: Voicing
    touched_at: float = 0.0  # when it was last changed: its time runs from there
    keep_seconds: float = KEEP_SECONDS
    options: dict[str, bool] = field(default_factory=dict[str, bool])  # of reading
    reading_job: str = ""
    metadata: dict[str, str] = field(default_factory=dict[str, str])  # "title", "author", "language", ...
    notes: tuple[str, ...] = ()  # what was left out when it was read, or guessed
    cover_sha256: str = ""
    cover_type: str = ""
    chapters: tuple[Chapter, ...] = ()  # in the order in which they are to be heard
    wanted: Wanted = Wanted.NOTHING
    formats: tuple[str, ...] = ()  # of the editions that are wanted
    loudness: str = "podcast"  # audio/mastering.py says what there is
    render_job: str = ""
    renders: int = 0  # how often it was begun or gone on with
    editions: tuple[Edition, ...] = ()

    @property
    def included(self) -> list[Chapter]:
        return [chapter for chapter in self.chapters if chapter.included]

    @property
    def source_key(self) -> str:
        return f"books/{self.id}/source"

    @property
    def cover_key(self) -> str:
        return cover_key(self.id, self.cover_sha256)

    def text_key(self, chapter: Chapter) -> str:
        return text_key(self.id, chapter.text_sha256)

    @property
    def job_ids(self) -> list[str]:
        """Every job that its state follows from."""
        ids = [self.reading_job, self.render_job, *(one.job for one in self.included)]
        return [one for one in (*ids, *(edition.job for edition in self.editions)) if one]

    def with_chapter(self, chapter: Chapter) -> "Book":
        chapters = (chapter if one.id == chapter.id else one for one in self.chapters)
        return replace(self, chapters=tuple(chapters))


def text_key(book_id: str, sha256: str) -> str:
    return f"books/{book_id}/texts/{sha256}.txt"


def cover_key(book_id: str, sha256: str) -> str:
    """A new cover does not take the place of the former: an edition may be made with that just now."""
    return f"books/{book_id}/covers/{sha256}"


def seconds_of(book: Book, chapter: Chapter) -> float:
    """Return about how long a chapter will sound."""
    return chapter.estimated_seconds / (chapter.speed or book.voicing.speed)


def chapter_request(book: Book, chapter: Chapter, text: str, *, sample_rate: int) -> SpeechRequest:
    """Return what the job of a chapter speaks: kept without loss, at the engine's own rate."""
    all_of_it = book.voicing
    return SpeechRequest(
        text=text,
        voice=chapter.voice or all_of_it.voice,
        emotion=chapter.emotion or all_of_it.emotion,
        emotion_strength=all_of_it.emotion_strength,
        speed=chapter.speed or all_of_it.speed,
        format="flac",
        sample_rate=sample_rate,
        seed=all_of_it.seed,
        narration=Narration(
            dialogue_voice=all_of_it.dialogue_voice,
            speakers=all_of_it.speakers,
            pronunciations=all_of_it.pronunciations,
            pause_scale=all_of_it.pause_scale,
        ),
    )


def fingerprint(*things: object) -> str:
    """Return a hash that is equal for equal things, as JSON has them."""
    return hashlib.sha256(json.dumps(things, sort_keys=True, ensure_ascii=False, default=asdict).encode()).hexdigest()


def chapter_fingerprint(book: Book, chapter: Chapter) -> str:
    """Return what decides how a chapter sounds, but for the engine."""
    return fingerprint(chapter.text_sha256, chapter_request(book, chapter, "", sample_rate=0))


def edition_fingerprint(book: Book, format: str, addresses: list[str]) -> str:
    """Return what decides an edition: its chapters' audio and titles, the book's metadata and cover, the loudness."""
    titles = [chapter.title for chapter in book.included]
    return fingerprint(format, addresses, titles, book.metadata, book.cover_sha256, book.loudness)


def usable(job: Job | None) -> bool:
    """Whether a job has made what it is for, or still may."""
    return job is not None and job.state in (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)


def spoken(book: Book, jobs: Mapping[str, Job | None]) -> bool:
    """Whether every chapter that is wanted is spoken as it is wanted."""
    return bool(book.included) and all(
        chapter.spoken_as == chapter_fingerprint(book, chapter)
        and (job := jobs.get(chapter.job)) is not None
        and job.state is JobState.SUCCEEDED
        for chapter in book.included
    )


def state_of(book: Book, jobs: Mapping[str, Job | None]) -> BookState:
    """Return where a book is.

    Args:
        jobs: at least those of `Book.job_ids`, by id.
    """
    if not book.chapters:
        reading = jobs.get(book.reading_job)
        return BookState.READING if reading is None or usable(reading) else BookState.FAILED
    if book.wanted is Wanted.NOTHING:
        return BookState.READY
    if book.wanted is not Wanted.RENDER:
        return BookState.PAUSED if book.wanted is Wanted.PAUSE else BookState.CANCELLED
    return _rendering(book, jobs)


def _rendering(book: Book, jobs: Mapping[str, Job | None]) -> BookState:
    editions = [one for one in book.editions if one.format in book.formats]
    ids = [book.render_job, *(chapter.job for chapter in book.included), *(one.job for one in editions)]
    found = [job for one in ids if one and (job := jobs.get(one))]
    begins = jobs.get(book.render_job) is None  # it is recorded before its job is
    working = begins or any(job.state in (JobState.QUEUED, JobState.RUNNING) for job in found)
    if not working and any(not usable(job) for job in found):
        return BookState.FAILED
    if not spoken(book, jobs):
        return BookState.RENDERING if working else BookState.READY  # it was changed since
    made = {one.format for one in editions if _is_made(book, one, jobs)}
    return BookState.SUCCEEDED if made >= set(book.formats) else BookState.ASSEMBLING


def _is_made(book: Book, edition: Edition, jobs: Mapping[str, Job | None]) -> bool:
    """Whether the edition is there, of the chapters as they are now."""
    job = jobs.get(edition.job)
    if job is None or job.state is not JobState.SUCCEEDED:
        return False
    chapters = [jobs.get(chapter.job) for chapter in book.included]
    addresses = [(chapter.audio_address if chapter else None) or "" for chapter in chapters]
    return edition.made_of == edition_fingerprint(book, edition.format, addresses)

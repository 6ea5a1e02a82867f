"""Bodies of the routes of books: the public API and nothing else."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.schemas import JobError
from shared.books import MOST_CHAPTERS, BookState
from shared.jobs import JobState

EditionFormat = Literal["m4b", "mp3", "opus", "flac", "wav", "srt", "vtt", "epub"]
Loudness = Literal["podcast", "podcast-16", "acx", "none"]
MetadataName = Literal["title", "author", "language", "publisher", "year", "description", "identifier", "subject"]
MetadataText = Annotated[str, StringConstraints(max_length=10_000)]
VoiceName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
ChapterId = Annotated[str, StringConstraints(min_length=1, max_length=20)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]

_STRICT = ConfigDict(extra="forbid", strict=True)


class VoicingFields(BaseModel):
    """How a book is read aloud. What is left out stays as it is; in a new book, as it is by default."""

    model_config = _STRICT

    voice: VoiceName | None = Field(default=None, description="The narrator's, as in a job.")
    emotion: str | None = Field(default=None, max_length=500)
    emotion_strength: float | None = Field(default=None, ge=0, le=2)
    speed: float | None = Field(default=None, ge=0.25, le=4)
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    dialogue_voice: str | None = Field(
        default=None, max_length=100, description="Speaks what stands in quotes; empty: the narrator does."
    )
    speakers: dict[Word, VoiceName] | None = Field(
        default=None,
        max_length=200,
        description="Names in the text, and who speaks what they say. Replaces the former.",
    )
    pronunciations: dict[Word, Word] | None = Field(
        default=None, max_length=5000, description="Words, and how they are to be said. Replaces the former."
    )
    pause_scale: float | None = Field(default=None, ge=0, le=4, description="2 makes every pause twice as long.")
    metadata: dict[MetadataName, MetadataText | None] | None = Field(
        default=None, description="In place of what the file says; null or empty takes it away."
    )


class BookOptions(VoicingFields):
    """How a new book is read, from its file and aloud."""

    model_config = ConfigDict(extra="forbid", strict=True, title="BookOptions")

    footnotes: bool | None = Field(default=None, description="Read footnotes, where they are referred to.")
    tables: bool | None = Field(default=None, description="Read tables row by row; by default they are.")
    image_descriptions: bool | None = Field(default=None, description="Read what images have as alternative text.")
    keep_seconds: float | None = Field(
        default=None, ge=1, description="How long it is kept after its last change; at most what the gateway is set to."
    )


class BookFromUpload(BookOptions):
    """A book whose file was sent to the link of `POST /v1/uploads`."""

    model_config = ConfigDict(extra="forbid", strict=True, title="BookFromUpload")

    source_key: str = Field(min_length=1, max_length=200, description="The upload's `key`.")
    file_name: str = Field(default="", max_length=255, description="As the file is called; its extension helps.")


class ChapterChange(BaseModel):
    """What is to be changed of a chapter; what is left out stays."""

    model_config = _STRICT

    id: ChapterId
    title: Title | None = None
    included: bool | None = None
    voice: VoiceName | None = Field(default=None, description="null: as the book's.")
    emotion: str | None = Field(default=None, max_length=500, description="null: as the book's.")
    speed: float | None = Field(default=None, ge=0.25, le=4, description="null: as the book's.")
    text: str | None = Field(default=None, min_length=1, description="Marked text, all of it.")


class BookChange(VoicingFields):
    """What is to be changed: for the next render."""

    chapters: list[ChapterChange] = Field(default_factory=list[ChapterChange], max_length=MOST_CHAPTERS)
    order: list[ChapterId] | None = Field(
        default=None, max_length=MOST_CHAPTERS, description="The ids of all chapters, as they are to be heard."
    )
    loudness: Loudness | None = Field(default=None, description="Of the editions of the next render.")


class RenderRequest(BaseModel):
    """Which editions of a book are to be made."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"formats": ["m4b", "srt"]}]}
    )

    formats: list[EditionFormat] = Field(default=["m4b"], min_length=1, max_length=8)
    loudness: Loudness | None = Field(default=None, description="By default as the book has it: podcast at first.")


class Upload(BaseModel):
    """Where to send a file, by PUT, and its name afterwards."""

    key: str = Field(description="To be named as `source_key`.")
    url: str = Field(description="A presigned link of the object store: PUT the file there.")
    url_expires_at: datetime
    expires_at: datetime = Field(description="When the file is deleted.")
    max_bytes: int = Field(
        description="A larger file is refused when it is named; one for a book has a limit of its own."
    )


class BookSource(BaseModel):
    name: str
    bytes: int
    sha256: str


class BookProgress(BaseModel):
    """Of the chapters that are included."""

    chapters_done: int
    chapters_total: int
    segments_done: int
    segments_total: int = Field(description="An estimate until every chapter is planned.")


class Cost(BaseModel):
    """What rendering takes of an engine's time."""

    engine_seconds: float = Field(description="Spent on the book so far, also on what was edited since.")
    engine_seconds_left: float | None = Field(
        description="An estimate: the segments that are left, at what this book's took so far, or at what the lane's "
        "take. What was spoken before, and is found again, costs less. null before the lane has spoken any."
    )
    price: float | None = Field(description="Of both together, where the gateway knows the price of an engine's hour.")


class Voiced(BaseModel):
    """How a book is read aloud."""

    voice: str
    emotion: str
    emotion_strength: float
    speed: float
    seed: int
    dialogue_voice: str
    speakers: dict[str, str]
    pronunciations: dict[str, str]
    pause_scale: float


class ChapterStatus(BaseModel):
    id: str
    title: str
    characters: int
    estimated_minutes: float
    included: bool
    voice: str | None = Field(description="null, as the next two: as the book's.")
    emotion: str | None
    speed: float | None
    state: JobState | None = Field(description="null: it is not spoken yet as it is now.")
    segments_done: int
    segments_total: int = Field(description="0 until it is planned.")
    audio_seconds: float | None
    error: JobError | None
    text: str = Field(description="Its marked text, at this gateway.")
    audio: str | None = Field(description="Its audio, at this gateway.")


class EditionStatus(BaseModel):
    format: str
    state: JobState | None = Field(description="null: it waits for its chapters.")
    audio: str | None = Field(description="The file, at this gateway.")
    url: str | None = Field(description="A presigned link to the object store.")
    url_expires_at: datetime | None
    bytes: int | None
    seconds: float | None
    sha256: str | None
    content_type: str
    warnings: int = Field(description="How many; the report has them.")
    error: JobError | None


class BookCover(BaseModel):
    content_type: str
    sha256: str


class BookLinks(BaseModel):
    self: str
    events: str
    report: str


class BookSummary(BaseModel):
    """A book in a list."""

    id: str
    state: BookState
    created_at: datetime
    changed_at: datetime
    expires_at: datetime = Field(description="When it is deleted, unless it is changed before.")
    source: BookSource
    reading: dict[str, bool] = Field(description="What was said of how its file is to be read.")
    metadata: dict[str, str]
    characters: int = Field(description="Of the chapters that are included.")
    estimated_minutes: float
    formats: list[str] = Field(description="Of the editions that were asked for.")
    links: BookLinks


class BookStatus(BookSummary):
    """A book as its owner sees it."""

    notes: list[str] = Field(description="What was left out when its file was read, or guessed; a sentence each.")
    voicing: Voiced
    loudness: str
    cover: BookCover | None
    progress: BookProgress
    eta_seconds: float | None = Field(
        description="Until its last chapter is spoken, from the bulk lane's measured speed; null if nothing is spoken."
    )
    cost: Cost
    chapters: list[ChapterStatus]
    editions: list[EditionStatus]
    error: JobError | None


class BookPage(BaseModel):
    books: list[BookSummary]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


class ChapterReport(BaseModel):
    """What came of speaking a chapter."""

    id: str
    title: str
    seconds: float
    retakes: list[str] = Field(description="What was spoken again because it did not pass, and why.")
    warnings: list[str] = Field(description="What was not spoken as it was written.")


class EncodedReport(BaseModel):
    """What came of encoding a chapter."""

    seconds: float
    measured: dict[str, float] = Field(description="By name: LUFS, RMS, peak, noise floor, and the gain, in dB.")
    warnings: list[str]


class EditionReport(BaseModel):
    format: str
    seconds: float
    warnings: list[str]
    chapters: list[EncodedReport] = Field(description="As they follow each other in the edition.")


class BookReport(BaseModel):
    chapters: list[ChapterReport] = Field(description="Those that are spoken.")
    editions: list[EditionReport]


class BookEvent(BaseModel):
    """Something that happened to a book: to one of its jobs, or to its record."""

    book: str = Field(description="The book's id.")
    kind: str = Field(description="What it happened to: reading, render, chapter, edition; book: its record.")
    chapter: str | None = Field(description="The chapter's id.")
    format: str | None = Field(description="The edition's.")
    state: JobState | BookState
    segments_done: int
    segments_total: int
    at: datetime
    error: JobError | None

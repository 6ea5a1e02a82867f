"""What an edition is made of: fixed when its job is made, whatever becomes of the book meanwhile."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.books import Book, Chapter, Edition, edition_fingerprint
from shared.jobs import Job, SpeechRequest

TIMED_TEXTS = ("srt", "vtt", "epub")  # are timed by the chapters as an M4B has them


def chapter_format(edition: str) -> str:
    """Return in which format the chapters of an edition are encoded."""
    return "m4b" if edition in TIMED_TEXTS else edition


@dataclass(frozen=True)
class SpokenChapter:
    """A chapter, the job that has spoken it, and the address of its audio."""

    title: str
    job: str
    address: str


@dataclass(frozen=True)
class EditionOrder:
    """All that decides an edition, or one encoded chapter of it. It is the text of its job's request."""

    format: str
    loudness: str
    chapters: tuple[SpokenChapter, ...]
    metadata: dict[str, str]
    cover_key: str = ""
    cover_type: str = ""
    cover_sha256: str = ""
    first: int = 1  # the number of the first of these chapters in the book
    count: int = 0  # how many the book has; 0: these

    def request(self, book: Book) -> SpeechRequest:
        """Return it as what the job of an edition is to do. It has no voice of its own: it is not spoken."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        return SpeechRequest(text, book.voicing.voice, book.voicing.emotion, 1.0, 1.0, self.format, 0, 0)


def edition_order(book: Book, format: str, jobs: Mapping[str, Job | None]) -> tuple[EditionOrder, str]:
    """Return how a book whose chapters are spoken becomes an edition, and the fingerprint of that."""
    chapters = tuple(SpokenChapter(one.title, one.job, _address(jobs.get(one.job))) for one in book.included)
    order = EditionOrder(format, book.loudness, chapters, book.metadata, *_cover(book))
    return order, edition_fingerprint(book, format, [one.address for one in chapters])


def encoding_order(book: Book, chapter: Chapter, job: Job, format: str) -> EditionOrder:
    """Return how one chapter, which `job` has spoken, is encoded for the editions of a book."""
    spoken, included = SpokenChapter(chapter.title, job.id, _address(job)), book.included
    place = included.index(chapter) + 1
    return EditionOrder(
        format, book.loudness, (spoken,), book.metadata, *_cover(book), first=place, count=len(included)
    )


def _cover(book: Book) -> tuple[str, str, str]:
    return (book.cover_key, book.cover_type, book.cover_sha256) if book.cover_sha256 else ("", "", "")


def load_order(request: SpeechRequest) -> EditionOrder:
    fields: dict[str, Any] = json.loads(request.text)
    chapters = tuple(SpokenChapter(**one) for one in fields.pop("chapters"))
    return EditionOrder(chapters=chapters, **fields)


def with_edition(book: Book, edition: Edition) -> tuple[Edition, ...]:
    """Return the book's editions with this one instead of an earlier one of its format."""
    return (*(one for one in book.editions if one.format != edition.format), edition)


def _address(job: Job | None) -> str:
    return (job.audio_address if job else None) or ""

"""What an edition is made of: fixed when its job is made, whatever becomes of the book meanwhile."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.books import Book, Edition, edition_fingerprint
from shared.jobs import Job, SpeechRequest


@dataclass(frozen=True)
class SpokenChapter:
    """A chapter, the job that has spoken it, and the address of its audio."""

    title: str
    job: str
    address: str


@dataclass(frozen=True)
class EditionOrder:
    """All that decides an edition. It is the text of its job's request."""

    format: str
    loudness: str
    chapters: tuple[SpokenChapter, ...]
    metadata: dict[str, str]
    cover_key: str = ""
    cover_type: str = ""
    cover_sha256: str = ""

    def request(self, book: Book) -> SpeechRequest:
        """Return it as what the job of an edition is to do. It has no voice of its own: it is not spoken."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        return SpeechRequest(text, book.voicing.voice, book.voicing.emotion, 1.0, 1.0, self.format, 0, 0)


def edition_order(book: Book, format: str, jobs: Mapping[str, Job | None]) -> tuple[EditionOrder, str]:
    """Return how a book whose chapters are spoken becomes an edition, and the fingerprint of that."""
    chapters = tuple(SpokenChapter(one.title, one.job, _address(jobs.get(one.job))) for one in book.included)
    cover = (book.cover_key, book.cover_type, book.cover_sha256) if book.cover_sha256 else ("", "", "")
    order = EditionOrder(format, book.loudness, chapters, book.metadata, *cover)
    return order, edition_fingerprint(book, format, [one.address for one in chapters])


def load_order(request: SpeechRequest) -> EditionOrder:
    fields: dict[str, Any] = json.loads(request.text)
    chapters = tuple(SpokenChapter(**one) for one in fields.pop("chapters"))
    return EditionOrder(chapters=chapters, **fields)


def with_edition(book: Book, edition: Edition) -> tuple[Edition, ...]:
    """Return the book's editions with this one instead of an earlier one of its format."""
    return (*(one for one in book.editions if one.format != edition.format), edition)


def _address(job: Job | None) -> str:
    return (job.audio_address if job else None) or ""

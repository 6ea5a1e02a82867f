"""What its owner changes of a book before it is rendered, or for the next time."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from anyio import to_thread

from gateway.book_schemas import BookChange, ChapterChange
from gateway.book_voicing import changed_metadata, changed_voicing, known_emotion, voices_named
from gateway.dependencies import Services
from gateway.pictures import picture
from gateway.voice_offer import offer_to
from shared.books import Book, Chapter, Wanted, cover_key, text_key
from shared.checking import Offer, check_text
from shared.errors import BookNotFound, InvalidCover, InvalidOrder, UnknownChapter
from shared.speech_length import estimated_seconds

MOST_COVER_BYTES = 10 * 1024 * 1024
MOST_COVER_PIXELS = 10_000  # of a side


async def change_book(book: Book, body: BookChange, services: Services, *, at_work: bool) -> Book:
    """Change what the body names, all of it or nothing. A book that is at rest is ready to be rendered then.

    Args:
        at_work: it is being rendered, which goes on.

    Raises:
        JobError: a chapter, a voice or an emotion is not known, or a text can't be spoken.
    """
    named = [*voices_named(body), *(one.voice for one in body.chapters)]
    offer = await offer_to(book.tenant, filter(None, named), services)
    _check_chapters(book, body)
    edits: dict[str, dict[str, Any]] = {}
    for one in body.chapters:
        edits.setdefault(one.id, {}).update(await _edit(book, one, offer, services))

    def changed(now: Book) -> Book:
        return replace(
            now,
            voicing=changed_voicing(now.voicing, body, offer),
            metadata=changed_metadata(now.metadata, body.metadata),
            loudness=body.loudness or now.loudness,
            wanted=_wanted(now, book, at_work=at_work),
            chapters=_in_order([replace(one, **edits.get(one.id, {})) for one in now.chapters], body.order),
        )

    found = await services.books.change(book.id, changed)
    if found is None:
        raise BookNotFound(book.id)
    return found


def _wanted(now: Book, seen: Book, *, at_work: bool) -> Wanted:
    """Return what is wanted of a book that is changed: nothing yet, unless it is at work, or was begun meanwhile."""
    return now.wanted if at_work or now.renders != seen.renders else Wanted.NOTHING


def _check_chapters(book: Book, body: BookChange) -> None:
    ids = [chapter.id for chapter in book.chapters]
    for one in body.chapters:
        if one.id not in ids:
            raise UnknownChapter(one.id, ids)
    if body.order is not None and sorted(body.order) != sorted(ids):
        raise InvalidOrder(limit=len(ids))


async def _edit(book: Book, body: ChapterChange, offer: Offer, services: Services) -> dict[str, Any]:
    """Return the fields of a chapter's record that are to be changed; a new text is stored."""
    said: dict[str, Any] = {}
    if body.title is not None:
        said["title"] = body.title
    if body.included is not None:
        said["included"] = body.included
    if "voice" in body.model_fields_set:
        said["voice"] = offer.voice(body.voice) if body.voice else ""
    if "emotion" in body.model_fields_set:
        said["emotion"] = known_emotion(body.emotion, offer) if body.emotion else ""
    if "speed" in body.model_fields_set:
        said["speed"] = body.speed
    if body.text is not None:
        said |= await _store_text(book, body.text, services)
    return said


async def _store_text(book: Book, text: str, services: Services) -> dict[str, Any]:
    """Store an edited text. The one before stays with the book: a render that is going on may need it."""
    text = text.replace("\r\n", "\n").strip()
    check_text(text, limit=services.settings.max_body_bytes)
    data = text.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    key = text_key(book.id, sha256)
    await _put(key, data, "text/plain; charset=utf-8", services)
    return {"text_sha256": sha256, "characters": len(text), "estimated_seconds": estimated_seconds(text)}


def _in_order(chapters: Iterable[Chapter], order: list[str] | None) -> tuple[Chapter, ...]:
    if order is None:
        return tuple(chapters)
    place = {chapter_id: number for number, chapter_id in enumerate(order)}
    return tuple(sorted(chapters, key=lambda chapter: place.get(chapter.id, len(place))))


async def set_cover(book: Book, data: bytes, services: Services, *, at_work: bool) -> Book:
    """Give the book a cover, as `change_book` changes it.

    Raises:
        InvalidCover: the data is no picture of a kind that players show.
    """
    found = picture(data)
    if found is None:
        raise InvalidCover("the body is neither JPEG nor PNG" if data else "the body is empty")
    kind, width, height = found
    if not (0 < width <= MOST_COVER_PIXELS and 0 < height <= MOST_COVER_PIXELS):
        raise InvalidCover(f"the picture has {width} x {height} pixels; up to {MOST_COVER_PIXELS} each are allowed")
    sha256 = hashlib.sha256(data).hexdigest()
    await _put(cover_key(book.id, sha256), data, kind, services)
    return await _with_cover(book, sha256, kind, services, at_work=at_work)


async def remove_cover(book: Book, services: Services, *, at_work: bool) -> Book:
    return await _with_cover(book, "", "", services, at_work=at_work)


async def _with_cover(book: Book, sha256: str, kind: str, services: Services, *, at_work: bool) -> Book:
    def changed(now: Book) -> Book:
        return replace(now, cover_sha256=sha256, cover_type=kind, wanted=_wanted(now, book, at_work=at_work))

    found = await services.books.change(book.id, changed)
    if found is None:
        raise BookNotFound(book.id)
    return found


async def _put(key: str, data: bytes, content_type: str, services: Services) -> None:
    await to_thread.run_sync(
        lambda: services.objects.put(key, io.BytesIO(data), length=len(data), content_type=content_type)
    )

"""Books: send, look, list, change, render, pause, go on, delete."""

import asyncio
import hashlib
import re
import time
from itertools import chain
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse

from gateway import book_changes, book_rendering, presenting
from gateway.auth.caller import Caller
from gateway.book_rendering import READ, Looked, look
from gateway.book_schemas import BookChange, BookFromUpload, BookOptions, BookPage, BookStatus, RenderRequest
from gateway.book_showing import status, summary
from gateway.book_submission import NewBook, submit_book
from gateway.dependencies import BooksDep, ReaderDep, Services, ServicesDep
from gateway.owned import is_over, own_book
from gateway.parent_events import REST
from gateway.receiving import fetched, form, json_body, received
from gateway.routes.file_forms import file_form
from gateway.routes.jobs import LONGEST_WAIT_SECONDS
from gateway.routes.problems import problems
from shared.books import Book, BookState, Chapter, Wanted
from shared.errors import ChapterNotFound, InvalidCursor

router = APIRouter(prefix="/v1/books", tags=["books"])

_BOOK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AT_REST = frozenset(BookState) - {BookState.READING, *book_rendering.AT_WORK}

_SENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": file_form(BookOptions.model_json_schema(), file="The book."),
            "application/json": {"schema": BookFromUpload.model_json_schema()},
        },
    }
}
_COVER: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/png")},
    }
}


@router.post(
    "",
    status_code=202,
    response_model=BookStatus,
    responses=problems(400, 409, 410, 413, 422, 503),
    openapi_extra=_SENT,
)
async def create_book(
    request: Request,
    services: ServicesDep,
    caller: BooksDep,
    idempotency_key: Annotated[str, Header(max_length=255, description="Sent again, it returns the same book.")] = "",
) -> Response:
    """Send a book's file: EPUB, DOCX, PDF, HTML, Markdown or text. Its chapters are known once it is `ready`.

    The file is the part `file` of a form, with `options` beside it; or it was uploaded before, and is named.
    """
    new = await _new_book(request, services, caller, key=idempotency_key)
    headers = {"Location": f"/v1/books/{new.book.id}", "Retry-After": "1"}
    if new.replayed:
        headers["Idempotent-Replayed"] = "true"
    return await _answer(await look(new.book, services), services, status_code=202, headers=headers)


async def _new_book(request: Request, services: Services, caller: Caller, *, key: str) -> NewBook:
    settings = services.settings
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        upload, options = await form(request, BookOptions)
        with upload.file:
            file = await received(upload, limit=settings.max_file_bytes)
            return await submit_book(file, options, services, key=key, tenant=caller.tenant)
    body = await json_body(request, BookFromUpload, limit=settings.max_body_bytes)
    file = await fetched(body.source_key, body.file_name, services, tenant=caller.tenant)
    with file.file:
        return await submit_book(file, body, services, key=key, tenant=caller.tenant)


@router.get("", responses=problems(400, 422, 503))
async def list_books(
    services: ServicesDep,
    caller: ReaderDep,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=20)] = 10,
) -> BookPage:
    """List your tenant's books, the newest first."""
    if cursor is not None and not _BOOK_ID.fullmatch(cursor):
        raise InvalidCursor
    found = await services.books.page(caller.tenant, before=cursor, limit=limit + 1)
    page = [summary(await look(book, services)) for book in found[:limit] if not is_over(book)]
    return BookPage(books=page, next_cursor=found[limit - 1].id if len(found) > limit else None)


@router.get("/{book_id}", response_model=BookStatus, responses={304: {}, **problems(404, 422, 503)})
async def get_book(
    book_id: str,
    services: ServicesDep,
    caller: ReaderDep,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=LONGEST_WAIT_SECONDS,
            description="Answer only when nothing is being done with it any more, or with If-None-Match when it has "
            "changed, or after this many seconds.",
        ),
    ] = 0,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Look at a book: its chapters, how far it is, and its editions."""
    looked = await _awaited(book_id, services, caller, seconds=wait, known=if_none_match)
    tag = _etag(looked, services)
    if presenting.matches(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return await _answer(looked, services, headers={"ETag": tag, "Cache-Control": "no-cache"})


@router.patch("/{book_id}", response_model=BookStatus, responses=problems(404, 409, 410, 413, 422, 503))
async def patch_book(book_id: str, body: BookChange, services: ServicesDep, caller: BooksDep) -> Response:
    """Change chapters, how the book is read, or what is known of it; all that is named, or nothing.

    The next render speaks what the change is about, and only that. While the book is being rendered, that goes on, and
    the book is `ready` for another render after it if a chapter was changed.
    """
    book, at_work = await _to_change(book_id, services, caller)
    changed = await book_changes.change_book(book, body, services, at_work=at_work)
    return await _answer(await look(changed, services), services)


@router.put(
    "/{book_id}/cover",
    response_model=BookStatus,
    responses=problems(404, 409, 413, 422, 503),
    openapi_extra=_COVER,
)
async def put_cover(book_id: str, request: Request, services: ServicesDep, caller: BooksDep) -> Response:
    """Give the book a cover: a JPEG or PNG file of at most 10 MiB."""
    book, at_work = await _to_change(book_id, services, caller)
    data = await request.body()  # bounded by the middleware
    changed = await book_changes.set_cover(book, data, services, at_work=at_work)
    return await _answer(await look(changed, services), services)


@router.delete("/{book_id}/cover", response_model=BookStatus, responses=problems(404, 409, 503))
async def delete_cover(book_id: str, services: ServicesDep, caller: BooksDep) -> Response:
    """Take the book's cover away."""
    book, at_work = await _to_change(book_id, services, caller)
    changed = await book_changes.remove_cover(book, services, at_work=at_work)
    return await _answer(await look(changed, services), services)


@router.get(
    "/{book_id}/chapters/{chapter_id}/text",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(404, 503)},
)
async def get_text(book_id: str, chapter_id: str, services: ServicesDep, caller: ReaderDep) -> Response:
    """Fetch a chapter's marked text: what is spoken of it, to be edited and sent back."""
    book = await own_book(book_id, services, caller)
    chunks = services.objects.read(book.text_key(chapter_of(book, chapter_id)))
    first = await to_thread.run_sync(next, chunks, b"")  # before the status goes out, an outage can still be told
    body = iterate_in_threadpool(chain([first], chunks))
    return StreamingResponse(body, media_type="text/plain; charset=utf-8")


@router.post("/{book_id}/render", status_code=202, response_model=BookStatus, responses=problems(404, 409, 422, 503))
async def render_book(book_id: str, services: ServicesDep, caller: BooksDep, body: RenderRequest) -> Response:
    """Have the chapters spoken that are not spoken yet as they are now, and the editions made."""
    book = await own_book(book_id, services, caller)
    begun = await book_rendering.render(book, services, formats=body.formats, loudness=body.loudness)
    return await _answer(await look(begun, services), services, status_code=202)


@router.post("/{book_id}/pause", response_model=BookStatus, responses=problems(404, 409, 503))
async def pause_book(book_id: str, services: ServicesDep, caller: BooksDep) -> Response:
    """Stop the work on a book for now. What is spoken stays."""
    book = await own_book(book_id, services, caller)
    return await _answer(await look(await book_rendering.stop(book, services, wanted=Wanted.PAUSE), services), services)


@router.post("/{book_id}/resume", status_code=202, response_model=BookStatus, responses=problems(404, 409, 503))
async def resume_book(book_id: str, services: ServicesDep, caller: BooksDep) -> Response:
    """Go on with a book: what is spoken is not spoken again."""
    book = await own_book(book_id, services, caller)
    begun = await book_rendering.go_on(book, services, doing="resuming")
    return await _answer(await look(begun, services), services, status_code=202)


@router.post("/{book_id}/retry", status_code=202, response_model=BookStatus, responses=problems(404, 409, 503))
async def retry_book(book_id: str, services: ServicesDep, caller: BooksDep) -> Response:
    """Try again what failed of a book, and nothing else."""
    book = await own_book(book_id, services, caller)
    begun = await book_rendering.go_on(book, services, doing="retrying")
    return await _answer(await look(begun, services), services, status_code=202)


@router.post("/{book_id}/cancel", response_model=BookStatus, responses=problems(404, 409, 503))
async def cancel_book(book_id: str, services: ServicesDep, caller: BooksDep) -> Response:
    """Stop the work on a book for good. It stays until it is deleted or its time is over."""
    book = await own_book(book_id, services, caller)
    return await _answer(
        await look(await book_rendering.stop(book, services, wanted=Wanted.CANCEL), services), services
    )


@router.delete("/{book_id}", status_code=204, responses=problems(404, 503))
async def delete_book(book_id: str, services: ServicesDep, caller: BooksDep) -> None:
    """Delete a book with its file, its texts and its audio, whatever is being done with it."""
    await book_rendering.delete(await own_book(book_id, services, caller), services)


def chapter_of(book: Book, chapter_id: str) -> Chapter:
    found = next((one for one in book.chapters if one.id == chapter_id), None)
    if found is None:
        raise ChapterNotFound(chapter_id[:20])
    return found


async def _to_change(book_id: str, services: Services, caller: Caller) -> tuple[Book, bool]:
    """Return the book, and whether it is being rendered."""
    looked = await look(await own_book(book_id, services, caller), services)
    looked.has_to_be("changing it", READ)
    return looked.book, looked.state in book_rendering.AT_WORK


async def _awaited(book_id: str, services: Services, caller: Caller, *, seconds: float, known: str) -> Looked:
    """Return the book once it is at rest, or differs from the known state, or the seconds are over."""
    deadline = time.monotonic() + seconds
    async with services.jobs.watch(book_id) as changed:
        while True:
            began = time.monotonic()
            looked = await look(await own_book(book_id, services, caller), services)
            looking, left = time.monotonic() - began, deadline - time.monotonic()
            news = not presenting.matches(known, _etag(looked, services)) if known else looked.state in _AT_REST
            if news or left <= 0:
                return looked
            await changed(left)
            await asyncio.sleep(REST * looking)


def _etag(looked: Looked, services: Services) -> str:
    """Return a weak validator: it changes with the record and its jobs, and before a link gets old."""
    links = int(time.time() / (services.settings.link_seconds / 2)) if looked.book.editions else 0
    seen = f"{looked.book}{looked.jobs}{links}"
    return f'W/"{hashlib.sha256(seen.encode()).hexdigest()[:20]}"'


async def _answer(
    looked: Looked, services: Services, *, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response:
    body = await status(looked, services)
    return Response(body.model_dump_json(), status_code, headers=headers, media_type="application/json")

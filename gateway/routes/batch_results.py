"""What comes of a batch: its lines, errors, manifest, audio, and events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway import batch_results
from gateway.auth.caller import Caller
from gateway.batch_schemas import BatchEvent, LinePage
from gateway.dependencies import ReaderDep, Services, ServicesDep
from gateway.owned import own_batch
from gateway.parent_events import check_after, told
from gateway.routes.events import EVENTS, LatestDep, sent
from gateway.routes.problems import problems
from gateway.schemas import JobError
from shared.batches import OVER, BatchView
from shared.children import ParentNews
from shared.errors import BatchNotFound, BatchNotOver
from shared.jobs import JobKind
from shared.shown import attachment

router = APIRouter(prefix="/v1/batches", tags=["batches"])

LINES = "application/jsonl"


@router.get("/{batch_id}/jobs", responses=problems(404, 422, 503))
async def batch_jobs(
    batch_id: str,
    services: ServicesDep,
    caller: ReaderDep,
    cursor: Annotated[int, Query(ge=0, description="next_cursor of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> LinePage:
    """What became of the lines, by their numbers. Blank lines became nothing, so a page may be short."""
    batch = (await own_batch(batch_id, services, caller)).batch
    last = min(cursor + limit, batch.lines_read)
    found = await batch_results.lines_between(batch, services, first=cursor + 1, last=last) if last > cursor else []
    return LinePage(
        lines=[batch_results.result(line) for line in found], next_cursor=last if last < batch.lines_read else None
    )


@router.get(
    "/{batch_id}/errors",
    response_class=StreamingResponse,
    responses={200: {"content": {LINES: {}}}, **problems(404, 503)},
)
async def batch_errors(batch_id: str, services: ServicesDep, caller: ReaderDep) -> StreamingResponse:
    """The lines that did not become jobs, as JSON Lines: `line`, `custom_id`, `code`, `message`."""
    batch = (await own_batch(batch_id, services, caller)).batch
    return StreamingResponse(batch_results.errors_of(batch, services), media_type=LINES)


@router.get(
    "/{batch_id}/manifest",
    response_class=StreamingResponse,
    responses={200: {"content": {LINES: {}}}, **problems(404, 503)},
)
async def batch_manifest(batch_id: str, services: ServicesDep, caller: ReaderDep) -> StreamingResponse:
    """What became of each line so far, as JSON Lines."""
    batch = (await own_batch(batch_id, services, caller)).batch
    return StreamingResponse(batch_results.manifest(batch, services), media_type=LINES)


@router.get(
    "/{batch_id}/audio.zip",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}, **problems(404, 409, 503)},
)
async def batch_audio(batch_id: str, services: ServicesDep, caller: ReaderDep) -> StreamingResponse:
    """All audio of a batch that is over, and `manifest.jsonl`, which also lists what has none."""
    view = await own_batch(batch_id, services, caller)
    if view.state not in OVER:
        raise BatchNotOver(view.state)
    headers = {"Content-Disposition": attachment(f"{view.batch.name or batch_id}.zip")}
    return StreamingResponse(batch_results.zipped(view.batch, services), media_type="application/zip", headers=headers)


async def _after(batch_id: str, services: ServicesDep, caller: ReaderDep, after: LatestDep) -> str:
    """Return after which event to go on. What is wrong is told here, before the stream has begun.

    Raises:
        BatchNotFound: it is not there, or not the caller's.
        HTTPException: 204: it is over, and the client knows.
    """
    view = await own_batch(batch_id, services, caller)
    await check_after(batch_id, services, after=after, at_rest=view.state in OVER)
    return after


@router.get("/{batch_id}/events", response_class=EventSourceResponse, responses=EVENTS)
async def batch_events(
    batch_id: str, request: Request, services: ServicesDep, caller: ReaderDep, after: Annotated[str, Depends(_after)]
) -> AsyncIterator[BatchEvent]:
    """Hear of each change of a batch's jobs, and how far it is, until it is over.

    Events are `job.` or `batch.` and the state. Who falls behind by some hundreds misses jobs' events; the batch's own
    tell the counts. The last is of the batch.
    """
    events = told(
        batch_id,
        request,
        services,
        after=after,
        look=lambda: _looked(batch_id, services, caller),
        at_rest=lambda view: view.state in OVER,
        event=_event,
    )
    async for event in events:
        yield sent(event)
    if view := await _looked(batch_id, services, caller):
        yield sent(_whole(view))


async def _looked(batch_id: str, services: Services, caller: Caller) -> BatchView | None:
    try:
        return await own_batch(batch_id, services, caller)
    except BatchNotFound:
        return None


def _event(view: BatchView, news: ParentNews) -> ServerSentEvent:
    data = news.data
    if "job_id" not in data or data["kind"] == JobKind.INGEST:
        return _whole(view, id=news.id)
    failure: dict[str, str] | None = data.get("failure")
    error = JobError(code=failure["code"], message=failure["message"]) if failure else None
    event = BatchEvent(job_id=data["job_id"], state=data["state"], error=error)
    return ServerSentEvent(event=f"job.{event.state}", id=news.id, data=event)


def _whole(view: BatchView, *, id: str | None = None) -> ServerSentEvent:
    event = BatchEvent(state=view.state, progress=batch_results.progress(view))
    return ServerSentEvent(event=f"batch.{view.state}", id=id, data=event)

"""Batches: send, look, list, cancel, retry, delete."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel

from gateway import batch_results
from gateway.batch_file import JSON_LINES, batch_file
from gateway.batch_schemas import BatchOptions, BatchPage, BatchStatus, BatchUpload
from gateway.batch_submission import begin_pass, submit_batch, terms_of
from gateway.dependencies import ReaderDep, Services, ServicesDep, SpeakerDep
from gateway.owned import own_batch
from gateway.routes.file_forms import file_form
from gateway.routes.problems import problems
from gateway.voice_offer import offer_to
from shared.batches import OVER, Batch, BatchView, Wanted
from shared.errors import BatchIsOver, BatchNotFound, BatchNotOver, InvalidCursor
from shared.jobs import Lane

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_BATCH_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _schema(body: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a body that FastAPI does not see, with the defaults' own in its place."""
    schema = body.model_json_schema()
    schema["properties"]["defaults"] = schema.pop("$defs")["BatchDefaults"]
    return schema


_LINES: dict[str, Any] = {
    "schema": {"type": "string", "format": "binary", "description": "One JSON object a line."},
    "example": '{"batch": {"template": "Dear {name}, happy new year!", "defaults": {"format": "mp3"}}}\n'
    '{"custom_id": "anna", "variables": {"name": "Anna"}}\n',
}
_SENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **dict.fromkeys(JSON_LINES, _LINES),
            "multipart/form-data": file_form(_schema(BatchOptions), file="The lines."),
            "application/json": {"schema": _schema(BatchUpload)},
        },
    }
}


@router.post(
    "",
    status_code=202,
    response_model=BatchStatus,
    responses=problems(400, 409, 413, 415, 422, 503),
    openapi_extra=_SENT,
)
async def create_batch(
    request: Request,
    services: ServicesDep,
    caller: SpeakerDep,
    idempotency_key: Annotated[str, Header(max_length=255, description="Sent again, it returns the same batch.")] = "",
) -> Response:
    """Send up to 100,000 lines, each to become a job on the bulk lane. A bad line refuses no other.

    The file is the body, or the part `file` of a form, or it was uploaded before. Options are in its first line as
    `{"batch": {...}}`, or beside it.
    """
    found = await batch_file(request, services, tenant=caller.tenant)
    with found.source.file:
        new = await submit_batch(found, services, key=idempotency_key, tenant=caller.tenant)
    headers = {"Location": f"/v1/batches/{new.batch.id}", "Retry-After": "1"}
    if new.replayed:
        headers["Idempotent-Replayed"] = "true"
    return await _answer(await own_batch(new.batch.id, services, caller), services, status_code=202, headers=headers)


@router.get("", responses=problems(400, 422, 503))
async def list_batches(
    services: ServicesDep,
    caller: ReaderDep,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> BatchPage:
    """List your tenant's batches, the newest first."""
    if cursor is not None and not _BATCH_ID.fullmatch(cursor):
        raise InvalidCursor
    found = await services.batches.page(caller.tenant, before=cursor, limit=limit + 1)
    load = await services.known.load(Lane.BULK)
    page = [batch_results.status(view, load) for view in found[:limit]]
    return BatchPage(batches=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get("/{batch_id}", responses=problems(404, 503))
async def get_batch(batch_id: str, services: ServicesDep, caller: ReaderDep) -> BatchStatus:
    """Look at a batch: how many lines are read, and how many jobs are in each state."""
    view = await own_batch(batch_id, services, caller)
    return batch_results.status(view, await services.known.load(Lane.BULK))


@router.post("/{batch_id}/cancel", status_code=202, response_model=BatchStatus, responses=problems(404, 409, 503))
async def cancel_batch(batch_id: str, services: ServicesDep, caller: SpeakerDep) -> Response:
    """Cancel what is not finished. What is spoken stays; `retry` speaks the rest after all."""
    view = await own_batch(batch_id, services, caller)
    if view.state in OVER and view.batch.wanted is not Wanted.CANCEL:
        raise BatchIsOver(view.state)
    await _another_pass(view, Wanted.CANCEL, services)
    return await _answer(await own_batch(batch_id, services, caller), services, status_code=202, headers={})


@router.post("/{batch_id}/retry", status_code=202, response_model=BatchStatus, responses=problems(404, 409, 503))
async def retry_batch(batch_id: str, services: ServicesDep, caller: SpeakerDep) -> Response:
    """Go over the lines again: what failed, was cancelled, or was more than your quota, is tried once more."""
    view = await own_batch(batch_id, services, caller)
    if view.state not in OVER:
        raise BatchNotOver(view.state)
    await _another_pass(view, Wanted.SPEAK, services)
    return await _answer(await own_batch(batch_id, services, caller), services, status_code=202, headers={})


@router.delete("/{batch_id}", status_code=204, responses=problems(404, 503))
async def delete_batch(batch_id: str, services: ServicesDep, caller: SpeakerDep) -> Response:
    """Delete a batch, its file, its jobs and their audio. It is gone at once; the sweeper does the rest."""
    view = await own_batch(batch_id, services, caller)
    await services.jobs.cancel(view.batch.ingest_job)
    await services.batches.change(batch_id, lambda batch: batch.again(Wanted.DELETE), garbage=lambda _: ())
    return Response(status_code=204)


async def _another_pass(view: BatchView, wanted: Wanted, services: Services) -> None:
    """Begin another pass over the batch, unless somebody else just did."""
    before = view.batch
    terms = await terms_of(before.tenant, await offer_to(before.tenant, [None], services), services)

    def again(now: Batch) -> Batch | None:
        return now.again(wanted, terms) if now.passes == before.passes and now.wanted is not Wanted.DELETE else None

    after = await services.batches.change(
        before.id, again, garbage=lambda was: was.error_parts if wanted is Wanted.SPEAK else ()
    )
    if after is None:
        raise BatchNotFound(before.id)
    await services.jobs.cancel(before.ingest_job)
    await services.jobs.remove(before.ingest_job)
    if after.wanted is not Wanted.DELETE:
        await begin_pass(after, services)


async def _answer(view: BatchView, services: Services, *, status_code: int, headers: dict[str, str]) -> Response:
    body = batch_results.status(view, await services.known.load(Lane.BULK))
    return Response(body.model_dump_json(), status_code, headers=headers, media_type="application/json")

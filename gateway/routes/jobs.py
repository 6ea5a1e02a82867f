"""Jobs: submit, look, list, fetch the audio, cancel or remove."""

import re
import time
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from gateway import delivery, presenting
from gateway.auth.caller import Caller
from gateway.dependencies import ReaderDep, Services, ServicesDep, SpeakerDep
from gateway.owned import own_job
from gateway.ranges import AskedDep
from gateway.routes.problems import problems
from gateway.schemas import JobPage, JobStatus, Phoneme, Timings, Word
from gateway.submission import submit
from gateway.voice_deletion import delete_brought
from shared.access import TENANT, Scope
from shared.audio_formats import FORMATS
from shared.errors import Forbidden, InvalidCursor
from shared.job_request import JobRequest
from shared.jobs import JobState
from shared.phonemes import unpack
from shared.ports import JobView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

LONGEST_WAIT_SECONDS = 30
_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@router.post("", status_code=202, response_model=JobStatus, responses=problems(400, 409, 410, 413, 422, 503))
async def create_job(
    body: JobRequest,
    services: ServicesDep,
    caller: SpeakerDep,
    idempotency_key: Annotated[str, Header(max_length=255, description="Sent again, it returns the same job.")] = "",
) -> Response:
    """Submit text to be spoken. The answer comes at once; ask for the job until it is finished."""
    accepted = await submit(body, services, key=idempotency_key, tenant=caller.tenant)
    view = accepted.view
    headers = {"Location": f"/v1/jobs/{view.job.id}", "Retry-After": presenting.retry_after(view.load)}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    return _answer(view, services, status=202, headers=headers)


@router.get("", response_model=JobPage, responses=problems(400, 422, 503))
async def list_jobs(  # noqa: PLR0913, PLR0917 - what a request may say
    services: ServicesDep,
    caller: ReaderDep,
    state: JobState | None = None,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    tenant: Annotated[
        str | None, Query(pattern=f"^{TENANT}$", description="Another tenant than your own; for the scope admin.")
    ] = None,
) -> JobPage:
    """List your tenant's jobs, the newest first."""
    if tenant is not None and not caller.sees(tenant):
        raise Forbidden(Scope.ADMIN)
    if cursor is not None and not _JOB_ID.fullmatch(cursor):
        raise InvalidCursor
    views = await services.jobs.page(tenant or caller.tenant, state=state, before=cursor, limit=limit + 1)
    page = [presenting.status(view, objects=services.objects, settings=services.settings) for view in views[:limit]]
    return JobPage(jobs=page, next_cursor=page[-1].id if len(views) > limit else None)


@router.get("/{job_id}", response_model=JobStatus, responses={304: {}, **problems(404, 422, 503)})
async def get_job(
    job_id: str,
    services: ServicesDep,
    caller: ReaderDep,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=LONGEST_WAIT_SECONDS,
            description="Answer only when the job is finished, or with If-None-Match when it has changed, "
            "or after this many seconds.",
        ),
    ] = 0,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Look at a job, at once or after waiting for it."""
    view = await _awaited(job_id, services, caller, seconds=wait, known=if_none_match)
    tag = _etag(view, services)
    if presenting.matches(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return _answer(view, services, status=200, headers={"ETag": tag, "Cache-Control": "no-cache"})


@router.delete(
    "/{job_id}",
    response_model=JobStatus,
    status_code=200,
    responses={204: {"description": "Removed."}, **problems(404, 503)},
)
async def delete_job(job_id: str, services: ServicesDep, caller: SpeakerDep) -> Response:
    """Cancel a job that is not finished; remove one that is, with its audio."""
    was = await own_job(job_id, services, caller)
    if not was.job.finished:
        await services.jobs.cancel(job_id)
        return _answer(await own_job(job_id, services, caller), services, status=200, headers={})
    await delete_brought(was, services)  # first: should this end here, the job is still there to be deleted again
    await delivery.delete_objects(await services.jobs.remove(job_id), services)
    return Response(status_code=204)


@router.get("/{job_id}/timings", responses=problems(404, 409, 410, 503))
async def get_timings(job_id: str, services: ServicesDep, caller: ReaderDep) -> Timings:
    """When each word and each phoneme of the finished audio sounds."""
    audio = await delivery.audio_of(await own_job(job_id, services, caller), services)
    return Timings(
        words=[Word(word=word, start=start, end=end) for word, start, end in audio.words],
        phonemes=[Phoneme(phoneme=name, start=start, end=end) for name, start, end in unpack(audio.phonemes)],
    )


@router.head("/{job_id}/audio", include_in_schema=False)
@router.get(
    "/{job_id}/audio",
    response_class=StreamingResponse,
    responses={
        200: {"content": {form.content_type: {} for form in FORMATS.values()}},
        206: {"description": "The asked range."},
        307: {"description": "A presigned link, where the gateway is set to redirect."},
        **problems(404, 409, 410, 416, 503),
    },
)
async def get_audio(
    job_id: str,
    services: ServicesDep,
    caller: ReaderDep,
    asked: AskedDep,
) -> Response:
    """Fetch the audio, whole or a range of bytes."""
    audio = await delivery.audio_of(await own_job(job_id, services, caller), services)
    file = delivery.AudioFile(job_id, audio, presenting.file_name(job_id, audio), FORMATS[audio.format].content_type)
    return await delivery.handed_out(file, asked, services)


def _etag(view: JobView, services: Services) -> str:
    return presenting.etag(view, link_seconds=services.settings.link_seconds)


async def _awaited(job_id: str, services: Services, caller: Caller, *, seconds: float, known: str) -> JobView:
    """Return the job once it is finished, or differs from the known state, or the seconds are over."""
    deadline = time.monotonic() + seconds
    async with services.jobs.watch(job_id) as changed:
        while True:
            view = await own_job(job_id, services, caller)
            left = deadline - time.monotonic()
            news = not presenting.matches(known, _etag(view, services)) if known else view.job.finished
            if news or view.job.finished or left <= 0:
                return view
            await changed(left)


def _answer(view: JobView, services: Services, *, status: int, headers: dict[str, str]) -> Response:
    body = presenting.status(view, objects=services.objects, settings=services.settings)
    return Response(body.model_dump_json(), status, headers=headers, media_type="application/json")

"""A job's changes as they happen: server-sent events."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.exceptions import HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.dependencies import ReaderDep, Services, ServicesDep
from gateway.owned import own_job
from gateway.parent_events import LONGEST_PAUSE_SECONDS, RETRY_MILLISECONDS
from gateway.routes.problems import problems
from gateway.schemas import JobError, JobEvent, Links, Progress
from shared.errors import StoreUnavailable
from shared.jobs import FINISHED, JobState
from shared.ports import JobNews
from shared.shown import at

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

ID_PATTERN = r"^(\d{1,19}-\d{1,19})?$"  # as Redis names entries of a stream

EVENTS: dict[int | str, dict[str, Any]] = {
    204: {"description": "There are no more events after that one."},
    **problems(404, 422, 503),
}

LastEventId = Annotated[str, Header(pattern=ID_PATTERN, description="The latest event that you have: go on after it.")]
SameAsQuery = Annotated[
    str, Query(alias="last_event_id", pattern=ID_PATTERN, description="The same, for clients that can't set a header.")
]


def _latest(last_event_id: LastEventId = "", in_query: SameAsQuery = "") -> str:
    return last_event_id or in_query


LatestDep = Annotated[str, Depends(_latest)]


def sent(event: ServerSentEvent) -> Any:
    """FastAPI documents what a route yields by its annotation, the data; what it sends is the event."""
    return event


async def _after(job_id: str, services: ServicesDep, caller: ReaderDep, after: LatestDep) -> str:
    """Return after which event to go on. What is wrong is told here, before the stream has begun.

    Raises:
        JobNotFound: it is not there, or not the caller's.
        HTTPException: 204, which tells an EventSource not to come again: the job has ended, and the client knows.
    """
    view = await own_job(job_id, services, caller)
    if after and view.job.finished and not await services.jobs.news(job_id, after=after):
        raise HTTPException(204)
    return after


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=EVENTS)
async def job_events(
    job_id: str, request: Request, services: ServicesDep, after: Annotated[str, Depends(_after)]
) -> AsyncIterator[JobEvent]:
    """Hear of each change of a job until it has ended: what was, then what comes.

    Events are named `job.` and the state. The connection is kept alive by comments. Come again with `Last-Event-ID`,
    and nothing is lost or repeated.
    """
    yield sent(ServerSentEvent(retry=RETRY_MILLISECONDS))  # something to pass on at once, for proxies
    async with services.jobs.watch(job_id) as changed:
        while (news := await _news(job_id, services, after=after)) is not None:
            for one in news:
                yield sent(_event(job_id, one))
            if _ended(news) or request.app.state.leaving():
                return
            after = news[-1].id if news else after
            await changed(LONGEST_PAUSE_SECONDS)


async def _news(job_id: str, services: Services, *, after: str) -> Sequence[JobNews] | None:
    """Return the news; none while Redis is away, which a listener sits out: its client would have to come again."""
    try:
        return await services.jobs.news(job_id, after=after)
    except StoreUnavailable:
        return ()


def _ended(news: Sequence[JobNews]) -> bool:
    """Whether the latest is final. An earlier one may be too: a job is opened again if its audio was lost."""
    return bool(news) and news[-1].state in FINISHED


def _event(job_id: str, news: JobNews) -> ServerSentEvent:
    audio = f"/v1/jobs/{job_id}/audio" if news.state is JobState.SUCCEEDED else None
    event = JobEvent(
        id=job_id,
        state=news.state,
        progress=Progress(segments_done=news.segments_done, segments_total=news.segments_total),
        at=at(int(news.id.partition("-")[0]) / 1000),
        error=JobError(code=news.failure.code, message=news.failure.message) if news.failure else None,
        links=Links(self=f"/v1/jobs/{job_id}", audio=audio),
    )
    return ServerSentEvent(event=f"job.{news.state}", id=news.id, data=event)

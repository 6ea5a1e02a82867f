"""Check a request, record the job, enqueue its first step."""

import hashlib
import json
import time
from dataclasses import dataclass, replace

import uuid_utils

from gateway.admission import most_ahead, overloaded
from gateway.brought_voice import with_its_voice, without_its_voice
from gateway.dependencies import Services
from gateway.metrics import STAND_IN
from gateway.settings import GatewaySettings
from gateway.stand_in import stand_in_for
from gateway.voice_offer import default_voice, offer_to
from gateway.webhook_urls import with_webhook
from shared import checking, tracing
from shared.accepted import REFUSED, SUBMITTED
from shared.checking import Offer
from shared.errors import JobError, LaneFull, Overloaded, QueueUnavailable, QuotaExceeded
from shared.job_request import JobRequest
from shared.jobs import Job, JobState, Lane, SpeechRequest
from shared.new_job import new_job
from shared.ports import JobView, Recorded


@dataclass(frozen=True)
class Submission:
    """The job that a request led to; `replayed` when an earlier request with the same key had made it."""

    view: JobView
    replayed: bool


async def submit(body: JobRequest, services: Services, *, key: str, tenant: str, stream: bool = False) -> Submission:
    """Accept a job. It is recorded before it is enqueued, so no worker meets a job that is not there.

    Args:
        stream: somebody listens to it while it is spoken.
    Raises:
        JobError: the request can't be spoken, or a server is away; then nothing is accepted.
    """
    offer = await offer_to(tenant, [] if body.brings_voice else [body.voice], services)
    request = checked(body, offer, services.settings)
    request, stand_in = await stand_in_for(body, request, offer.catalogue, services.known)
    job = new_job(
        str(uuid_utils.uuid7()),
        request,
        lane=Lane(body.lane),
        keep_seconds=services.settings.keep_seconds,
        now=time.time(),
    )
    job = replace(
        job,
        metadata=body.metadata,
        tenant=tenant,
        stand_in=stand_in,
        trace=tracing.current().traceparent,
        stream=stream,
    )
    job = await with_webhook(job, body, services)
    load = await services.known.load(job.speaking_lane)
    job, request = await with_its_voice(job, request, body, offer, services)
    recorded = await _accepted(job, request, body, services, key=key)
    if isinstance(recorded, str):
        return await _replayed(recorded, services, tenant=tenant, key=key) or await submit(
            body, services, key=key, tenant=tenant, stream=stream
        )
    SUBMITTED.labels(job.lane, tenant).inc()
    if stand_in:
        STAND_IN.labels(tenant).inc()
    place = recorded.position
    last = None if job.long else place
    return Submission(JobView(job, request, None, place, last, replace(load, waiting=place)), replayed=False)


async def _accepted(
    job: Job, request: SpeechRequest, body: JobRequest, services: Services, *, key: str
) -> Recorded | str:
    """Record the job, and enqueue what has got its turn; if that is not done, the voice that it brings goes."""
    try:
        recorded = await _record(job, request, services, key=key, fingerprint=fingerprint(body) if key else "")
        if isinstance(recorded, Recorded):
            await _enqueue_ready(recorded, job, services, key=key)
            return recorded
    except JobError:
        await without_its_voice(request, body, services)
        raise
    await without_its_voice(request, body, services)
    return recorded


async def _record(
    job: Job, request: SpeechRequest, services: Services, *, key: str, fingerprint: str
) -> Recorded | str:
    limits = await services.quotas.limits(job.tenant)
    lane, settings = job.speaking_lane, services.settings
    load = await services.known.load(lane)
    ahead = most_ahead(load, lane, settings)
    try:
        recorded = await services.jobs.create(
            job, request, key=key, fingerprint=fingerprint, limits=limits, most_ahead=ahead
        )
    except QuotaExceeded as error:
        REFUSED.labels(job.tenant, error.quota).inc()
        raise await services.quotas.refusal(error, job.tenant, load) from None
    except LaneFull:
        REFUSED.labels(job.tenant, Overloaded.code).inc()
        raise overloaded(lane, settings) from None
    if isinstance(recorded, Recorded):
        services.quotas.show_used(job, limits, recorded.used)
    return recorded


async def _replayed(job_id: str, services: Services, *, tenant: str, key: str) -> Submission | None:
    """Answer with the job as it is; one that still waits may never have been enqueued, and twice does no harm.

    Returns:
        None if the request is to be taken as a new one: its job was removed, or was refused just now.
    """
    job = await services.jobs.repeat(job_id)
    if job and job.state is JobState.QUEUED and not await services.jobs.parked(job):
        await services.queue.enqueue(job.id, job.first_step, lane=job.lane_of(job.first_step))
    view = await services.jobs.view(job_id)
    if view is None:
        await services.jobs.forget_key(tenant, key, job_id)
    refused = view and view.job.failure and view.job.failure.code == QueueUnavailable.code
    return None if view is None or refused else Submission(view, replayed=True)


async def _enqueue_ready(recorded: Recorded, job: Job, services: Services, *, key: str) -> None:
    """Enqueue the job, unless it waits for its tenant's turn, and what else has got its turn.

    Raises:
        QueueUnavailable: the job is refused.
    """
    for step in recorded.ready:
        try:
            await services.queue.enqueue(step.job_id, step.step, lane=step.lane)
        except QueueUnavailable:  # another job was accepted long ago: the sweeper sends it
            if step.job_id == job.id and await services.jobs.refuse(job, key=key):
                raise


def fingerprint(body: JobRequest) -> str:
    """Return a hash that is equal for equal requests, in whatever order their fields came; defaults don't count."""
    return hashlib.sha256(json.dumps(body.model_dump(exclude_defaults=True), sort_keys=True).encode()).hexdigest()


def checked(body: JobRequest, offer: Offer, settings: GatewaySettings) -> SpeechRequest:
    """Return the request with every default filled in, or raise what is wrong with it."""
    voice = default_voice(offer, settings)
    return checking.checked(body.text, body, offer, longest=settings.max_text_characters, default_voice=voice)

"""A job's record as the API shows it."""

import hashlib
import time

from gateway.schemas import JobError, JobStatus, Links, Progress, QueuePlace, Result, SpokenAs, Usage, at
from gateway.settings import GatewaySettings
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, JobState
from shared.ports import JobView, LaneLoad, ObjectStore
from shared.speech_length import LONGEST_SEGMENT_SECONDS


def etag(view: JobView, *, link_seconds: int) -> str:
    """Return a weak validator: it changes with the record, the place in the queue, and before a link gets old."""
    links = int(time.time() / (link_seconds / 2)) if view.audio else 0
    seen = f"{view.job}{view.position}{view.last_position}{links}"
    return f'W/"{hashlib.sha256(seen.encode()).hexdigest()[:20]}"'


def status(view: JobView, *, objects: ObjectStore, settings: GatewaySettings) -> JobStatus:
    job, request = view.job, view.request
    return JobStatus(
        id=job.id,
        state=job.state,
        lane=job.lane,
        progress=Progress(segments_done=job.segments_done, segments_total=job.segments_total),
        queue=None if job.finished else QueuePlace(position=view.position, eta_seconds=eta_seconds(view)),
        attempts=job.attempts,
        stand_in=job.stand_in or None,
        created_at=at(job.created_at),
        started_at=at(job.started_at) if job.started_at else None,
        finished_at=at(job.finished_at) if job.finished_at else None,
        expires_at=at(job.expires_at) if job.finished else None,
        request=SpokenAs(**{name: getattr(request, name) for name in SpokenAs.model_fields}),
        metadata=job.metadata,
        result=_result(job, view.audio, objects, settings) if view.audio else None,
        usage=_usage(view),
        error=JobError(code=job.failure.code, message=job.failure.message) if job.failure else None,
        links=Links(self=f"/v1/jobs/{job.id}", audio=f"/v1/jobs/{job.id}/audio" if view.audio else None),
    )


def eta_seconds(view: JobView) -> float | None:
    """Return how long until the audio is there, or None before the lane has finished its first step."""
    load, job = view.load, view.job
    if load.seconds_per_step is None or load.service_seconds is None or (job.long and not job.segments_total):
        return None
    if view.last_position:
        return round(view.last_position * load.seconds_per_step + load.service_seconds, 1)
    running_since = time.time() - (job.started_at or time.time())
    return round(max(load.service_seconds - running_since, 0.1), 1)


def matches(if_none_match: str, tag: str) -> bool:
    """Whether the header names the tag, by RFC 9110's weak comparison."""
    known = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known


def retry_after(load: LaneLoad) -> str:
    """Return a hint when to look again: the expected wait, between 1 s and the length of a segment."""
    wait = load.waiting * (load.seconds_per_step or 0) + (load.service_seconds or 1)
    return str(round(min(max(wait, 1), LONGEST_SEGMENT_SECONDS)))


def file_name(job_id: str, audio: Audio) -> str:
    return f"{job_id}.{FORMATS[audio.format].extension}"


def _result(job: Job, audio: Audio, objects: ObjectStore, settings: GatewaySettings) -> Result:
    content_type = FORMATS[audio.format].content_type
    return Result(
        audio=f"/v1/jobs/{job.id}/audio",
        timings=f"/v1/jobs/{job.id}/timings",
        url=objects.link(
            audio.key,
            seconds=settings.link_seconds,
            file_name=file_name(job.id, audio),
            content_type=content_type,
        ),
        url_expires_at=at(int(time.time()) + settings.link_seconds),
        bytes=audio.bytes,
        seconds=round(audio.seconds, 6),
        sample_rate=audio.sample_rate,
        format=audio.format,
        content_type=content_type,
        sha256=audio.sha256,
        warnings=[*([job.stand_in] if job.stand_in else []), *audio.warnings],
    )


def _usage(view: JobView) -> Usage | None:
    if view.job.state is not JobState.SUCCEEDED:
        return None
    job = view.job
    return Usage(characters=job.characters, audio_seconds=job.audio_seconds, engine_seconds=job.engine_seconds)

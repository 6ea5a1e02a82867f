"""A job's record as the API shows it."""

import hashlib
import time
from typing import Any

from gateway.schemas import JobStatus, QueuePlace
from gateway.settings import GatewaySettings
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job
from shared.ports import JobView, LaneLoad, ObjectStore
from shared.shown import at, shown
from shared.speech_length import LONGEST_SEGMENT_SECONDS


def etag(view: JobView, *, link_seconds: int) -> str:
    """Return a weak validator: it changes with the record, the place in the queue, and before a link gets old."""
    links = int(time.time() / (link_seconds / 2)) if view.audio else 0
    seen = f"{view.job}{view.position}{view.last_position}{links}"
    return f'W/"{hashlib.sha256(seen.encode()).hexdigest()[:20]}"'


def status(view: JobView, *, objects: ObjectStore, settings: GatewaySettings) -> JobStatus:
    job, audio = view.job, view.audio
    known = shown(job, view.request, audio)
    if not job.finished:
        known["queue"] = QueuePlace(position=view.position, eta_seconds=eta_seconds(view))
    if audio:
        known["result"] |= _link(job, audio, objects, settings)
    return JobStatus(**known)


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


def _link(job: Job, audio: Audio, objects: ObjectStore, settings: GatewaySettings) -> dict[str, Any]:
    content_type = FORMATS[audio.format].content_type
    name = file_name(job.id, audio)
    url = objects.link(audio.key, seconds=settings.link_seconds, file_name=name, content_type=content_type)
    return {"url": url, "url_expires_at": at(int(time.time()) + settings.link_seconds)}

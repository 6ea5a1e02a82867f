"""How jobs and the rest are written as JSON, and the names of their keys in Redis."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from shared.jobs import (
    NO_TENANT,
    Audio,
    Failure,
    Job,
    JobKind,
    JobState,
    Lane,
    Narration,
    SpeechRequest,
    Step,
    StepState,
)
from shared.ports import Catalogue, JobNews, Part, Segment

CATALOGUE = "catalogue"
STAND_IN_CATALOGUE = "catalogue:standin"
CHANGED = "changed"  # the channel that tells the id of each job that changes
LEASES = "leases"  # every step that a worker holds, by when its lease runs out
EXPIRING = "expiring"  # every job, by when its time is over
UPLOADING = "uploading"  # keys of objects that a worker is about to store, by when it began
SWEEPER = "sweeper"  # the name of the sweeper that is at work
BUSY = "busy"  # workers that had something in hand, by until when that is believed
GARBAGE = "garbage"  # keys of objects that no record points to, by since when: to be deleted


def job_key(job_id: str) -> str:
    return f"job:{job_id}"


def request_key(job_id: str) -> str:
    return f"job:{job_id}:request"


def steps_key(job_id: str) -> str:
    return f"job:{job_id}:steps"


def segments_key(job_id: str) -> str:
    return f"job:{job_id}:segments"


def events_key(job_id: str) -> str:
    return f"job:{job_id}:events"


def counts_key(parent: str) -> str:
    """How many jobs of a book or batch are in each state, and what engines have spent on a book."""
    return f"parent:{parent}:counts"


def children_key(parent: str) -> str:
    """The jobs of a book or batch."""
    return f"parent:{parent}:jobs"


def live_key(job_id: str) -> str:
    return f"job:{job_id}:live"


def listeners_key(job_id: str) -> str:
    return f"job:{job_id}:listeners"


def audio_record_key(address: str) -> str:
    return f"audio:{address}"


def speaking_key(address: str) -> str:
    return f"speaking:{address}"


def of_tenant(tenant: str, name: str) -> str:
    """Return the name of a tenant's own key. Those of `default` are as before there were tenants."""
    return name if tenant == NO_TENANT else f"tenant:{tenant}:{name}"


def jobs_key(tenant: str) -> str:
    return of_tenant(tenant, "jobs")


def state_key(tenant: str, state: JobState) -> str:
    return of_tenant(tenant, f"jobs:{state}")


def waiting_key(lane: Lane) -> str:
    return f"waiting:{lane}"


def parked_key(lane: Lane, tenant: str = "") -> str:
    """Steps that wait: a tenant's by their turn; without a tenant all, by when they arrived. shared/share.lua"""
    return f"parked:{lane}:{tenant}" if tenant else f"parked:{lane}"


def parking_key(lane: Lane) -> str:
    """The tenants of which steps are parked."""
    return f"parking:{lane}"


def suspects_key(lane: Lane) -> str:
    return f"suspects:{lane}"


def sent_again_key(lane: Lane) -> str:
    return f"sent_again:{lane}"


def warm_key(lane: Lane) -> str:
    """Workers that take messages, by until when that is believed."""
    return f"warm:{lane}"


def used_key(tenant: str, day: date) -> str:
    """What the tenant's jobs of a day count for."""
    return of_tenant(tenant, f"used:{day}")


def open_lines_key(tenant: str) -> str:
    """How many lines of the tenant's batches are jobs that have not ended."""
    return of_tenant(tenant, "open_lines")


def stored_key(tenant: str) -> str:
    """How many bytes of audio the tenant's jobs keep."""
    return of_tenant(tenant, "stored")


def bucket_key(tenant: str) -> str:
    return of_tenant(tenant, "bucket")


def lane_key(lane: Lane) -> str:
    return f"lane:{lane}"


def idempotency_key(tenant: str, key: str) -> str:
    return of_tenant(tenant, f"idempotency:{key}")


def dump(record: Job | SpeechRequest | Step | Audio | Segment | Catalogue) -> str:
    return json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":"))


def load_job(raw: str | bytes) -> Job:
    fields: dict[str, Any] = json.loads(raw)
    failure = fields.pop("failure")
    fields |= {"lane": Lane(fields["lane"]), "state": JobState(fields["state"])}
    fields["webhook_events"] = tuple(fields.get("webhook_events", ()))
    fields["kind"] = JobKind(fields.get("kind", JobKind.SPEECH))
    return Job(failure=Failure(**failure) if failure else None, **fields)


def load_step(name: str, raw: str | bytes | None) -> Step:
    if not raw:
        return Step(name)
    fields: dict[str, Any] = json.loads(raw)
    fields["state"] = StepState(fields["state"])
    return Step(**fields)


def load_request(raw: str | bytes) -> SpeechRequest:
    fields: dict[str, Any] = json.loads(raw)
    narration: dict[str, Any] | None = fields.pop("narration", None)
    return SpeechRequest(narration=Narration(**narration) if narration else None, **fields)


def load_news(entry_id: str, data: str) -> JobNews:
    fields: dict[str, Any] = json.loads(data)
    failure = fields.pop("failure", None)
    fields["state"] = JobState(fields["state"])
    return JobNews(entry_id, failure=Failure(**failure) if failure else None, **fields)


def load_segment(raw: str | bytes) -> Segment:
    fields: dict[str, Any] = json.loads(raw)
    parts: Iterable[dict[str, Any]] = fields.pop("parts", ())
    return Segment(parts=tuple(Part(**part) for part in parts), **fields)


def load_audio(raw: str | bytes) -> Audio:
    fields: dict[str, Any] = json.loads(raw)
    words: Iterable[tuple[str, float, float]] = fields.pop("words")
    parts: Iterable[tuple[float, float]] = fields.pop("parts", ())
    fields |= {name: tuple(fields.get(name, ())) for name in ("warnings", "retakes", "voices")}
    return Audio(
        words=tuple((word, start, end) for word, start, end in words),
        parts=tuple((start, end) for start, end in parts),
        **fields,
    )


def load_catalogue(raw: str | bytes) -> Catalogue:
    fields: dict[str, Any] = json.loads(raw)
    fields |= {"voices": tuple(fields["voices"]), "emotions": tuple(fields["emotions"])}
    fields["controls"] = tuple(fields.get("controls", ()))
    return Catalogue(**fields)

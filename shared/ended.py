"""What is told when a job ends: a line for the audit, and the counters of all jobs.

Whichever process ended the job tells it, once, with the change that ended it. A process that is killed between the two
tells nothing: for the exact state of a job there is its record.
"""

import logging

from prometheus_client import Counter, Histogram

from shared.jobs import Job, JobState

audit = logging.getLogger("emotivoice.audit")

FINISHED_JOBS = Counter("emotivoice_jobs_finished_total", "Jobs by how they ended", ["lane", "tenant", "state", "code"])
JOB_SECONDS = Histogram(
    "emotivoice_job_seconds",
    "From submission to success",
    ["lane"],
    buckets=(0.1, 0.25, 0.5, 0.8, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600),
)
CHARACTERS = Counter("emotivoice_characters_total", "Characters of jobs that succeeded", ["lane", "tenant"])
JOB_AUDIO_SECONDS = Counter(
    "emotivoice_job_audio_seconds_total", "Seconds of audio of spoken jobs that succeeded", ["lane", "tenant"]
)


def job_ended(job: Job) -> None:
    """Tell of a job that has just reached a final state."""
    code = job.failure.code if job.failure else ""
    FINISHED_JOBS.labels(job.lane, job.tenant, job.state, code).inc()
    if job.state is JobState.SUCCEEDED and job.finished_at:
        JOB_SECONDS.labels(job.lane).observe(max(job.finished_at - job.created_at, 0))
        CHARACTERS.labels(job.lane, job.tenant).inc(job.characters)
        if job.speaks:  # what is encoded, or put together, was counted when it was spoken
            JOB_AUDIO_SECONDS.labels(job.lane, job.tenant).inc(job.audio_seconds)
    audit.info("job ended", extra=_facts(job, code))


def _facts(job: Job, code: str) -> dict[str, object]:
    finished_at = job.finished_at or job.created_at
    return {
        "job_id": job.id,
        "tenant": job.tenant,
        "trace_id": trace_id(job.trace),
        "lane": job.lane,
        "kind": job.kind,
        "state": job.state,
        "code": code,
        "characters": job.characters,
        "segments": job.segments_total,
        "attempts": job.attempts,
        "stand_in": bool(job.stand_in),
        "audio_seconds": round(job.audio_seconds, 3),
        "engine_seconds": round(job.engine_seconds, 3),
        "wait_seconds": round((job.started_at or finished_at) - job.created_at, 3),
        "total_seconds": round(finished_at - job.created_at, 3),
    }


def trace_id(traceparent: str) -> str:
    """Return the trace's id of a W3C traceparent; empty if there is none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""

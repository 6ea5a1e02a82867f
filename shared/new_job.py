"""The record of a new job of speech."""

from shared.jobs import Job, Lane, SpeechRequest
from shared.speech_length import LONGEST_SEGMENT_SECONDS, estimated_seconds


def new_job(job_id: str, request: SpeechRequest, *, lane: Lane, keep_seconds: float, now: float) -> Job:
    seconds = estimated_seconds(request.text) / request.speed
    long = seconds > LONGEST_SEGMENT_SECONDS
    return Job(
        id=job_id,
        lane=lane,
        characters=len(request.text),
        created_at=now,
        long=long,
        segments_total=0 if long else 1,
        keep_seconds=keep_seconds,
        estimated_seconds=round(seconds, 3),
    )

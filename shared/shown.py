"""A job's record as clients see it, by the gateway and by webhooks."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, JobState, SpeechRequest
from shared.voice_library import as_named

REQUEST_FIELDS = (
    *("voice", "emotion", "emotion_strength", "speed"),
    *("pitch_shift", "pitch_scale", "energy_shift", "energy_scale"),
    *("format", "sample_rate", "seed"),
)


def at(seconds: float) -> datetime:
    """Return Unix seconds as a UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def attachment(file_name: str) -> str:
    """Return the Content-Disposition of a file that is to be saved under this name (RFC 6266)."""
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\' else "_" for one in file_name)
    encoded = "" if plain == file_name else f"; filename*=UTF-8''{quote(file_name, safe='')}"
    return f'attachment; filename="{plain}"{encoded}'


def shown(job: Job, request: SpeechRequest, audio: Audio | None) -> dict[str, Any]:
    """Return the job without what changes by itself: its place in the queue, and links that expire."""
    return {
        "id": job.id,
        "state": job.state,
        "lane": job.lane,
        "progress": {"segments_done": job.segments_done, "segments_total": job.segments_total},
        "queue": None,
        "attempts": job.attempts,
        "stand_in": job.stand_in or None,
        "created_at": at(job.created_at),
        "started_at": at(job.started_at) if job.started_at else None,
        "finished_at": at(job.finished_at) if job.finished_at else None,
        "expires_at": at(job.expires_at) if job.finished else None,
        "request": {name: getattr(request, name) for name in REQUEST_FIELDS} | {"voice": as_named(request.voice)},
        "metadata": job.metadata,
        "result": _result(job, audio) if audio else None,
        "usage": _usage(job),
        "error": {"code": job.failure.code, "message": job.failure.message} if job.failure else None,
        "links": {"self": f"/v1/jobs/{job.id}", "audio": f"/v1/jobs/{job.id}/audio" if audio else None},
    }


def _result(job: Job, audio: Audio) -> dict[str, Any]:
    return {
        "audio": f"/v1/jobs/{job.id}/audio",
        "timings": f"/v1/jobs/{job.id}/timings",
        "url": None,
        "url_expires_at": None,
        "bytes": audio.bytes,
        "seconds": round(audio.seconds, 6),
        "sample_rate": audio.sample_rate,
        "format": audio.format,
        "content_type": FORMATS[audio.format].content_type,
        "sha256": audio.sha256,
        "warnings": [*([job.stand_in] if job.stand_in else []), *audio.warnings],
    }


def _usage(job: Job) -> dict[str, Any] | None:
    if job.state is not JobState.SUCCEEDED:
        return None
    return {
        "characters": job.characters,
        "audio_seconds": job.audio_seconds,
        "engine_seconds": job.engine_seconds,
    }

"""Voices of a tenant's own as the API shows them: the record, and how far the job is that checks the clip."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.dependencies import Services
from gateway.schemas import JobError
from gateway.voice_schemas import ConsentGiven, LibraryVoiceStatus, VoiceChange, VoiceLinks
from shared.errors import AudioExpired
from shared.jobs import Job, JobState
from shared.shown import at
from shared.voice_library import LibraryVoice, VoiceState

NO_PREVIEW = "Its preview was removed; with another clip it gets another one."


async def status(voice: LibraryVoice, services: Services) -> LibraryVoiceStatus:
    [shown] = await statuses([voice], services)
    return shown


async def statuses(voices: Sequence[LibraryVoice], services: Services) -> list[LibraryVoiceStatus]:
    jobs = await services.children.jobs([voice.job for voice in voices]) if voices else []
    return [_status(voice, job) for voice, job in zip(voices, jobs, strict=True)]


def changed_by(body: VoiceChange, voice: LibraryVoice) -> LibraryVoice | None:
    """Return the voice with what the body says of it; None for one that is being deleted."""
    said: dict[str, Any] = {name: text for name, text in body.model_dump().items() if text is not None}
    return None if voice.over else replace(voice, **said)


def _status(voice: LibraryVoice, job: Job | None) -> LibraryVoiceStatus:
    failure = job.failure if job else None
    given_up = voice.state is VoiceState.CHECKING and failure is not None  # the record says so a little later
    spoken = job is not None and job.state is JobState.SUCCEEDED
    link = f"/v1/voices/{voice.id}"
    return LibraryVoiceStatus(
        id=voice.id,
        name=voice.name,
        language=voice.language,
        description=voice.description,
        state=VoiceState.FAILED if given_up else voice.state,
        revision=voice.revision,
        created_at=at(voice.created_at),
        changed_at=at(voice.touched_at or voice.created_at),
        consent=ConsentGiven(given_by=voice.consent.given_by, at=at(voice.consent.at)) if voice.consent else None,
        problems=list(voice.problems) or ([failure.message] if failure and given_up else []),
        report=voice.report,
        error=JobError(code=failure.code, message=failure.message) if failure else _gone(voice, job),
        links=VoiceLinks(self=link, preview=f"{link}/preview" if spoken else None),
    )


def _gone(voice: LibraryVoice, job: Job | None) -> JobError | None:
    """Return that there will be no preview, if its job was cancelled or removed: as any job may be."""
    comes = job is not None and (not job.finished or job.state is JobState.SUCCEEDED)
    return (
        None if comes or voice.state is not VoiceState.READY else JobError(code=AudioExpired.code, message=NO_PREVIEW)
    )

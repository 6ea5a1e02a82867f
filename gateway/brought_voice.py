"""A voice that comes with a job: it is in nobody's list, is prepared by the job itself, and goes with it."""

from dataclasses import replace

from gateway.dependencies import Services
from gateway.receiving import fetched
from gateway.voice_deletion import delete
from gateway.voice_library import Clip, check_clip, consent_of, new_voice, store_clip, tell
from shared.checking import Offer
from shared.errors import CloningUnavailable, JobError
from shared.job_request import JobRequest
from shared.jobs import Job, SpeechRequest
from shared.voice_library import LibraryVoice, parse


async def with_its_voice(
    job: Job, request: SpeechRequest, body: JobRequest, offer: Offer, services: Services
) -> tuple[Job, SpeechRequest]:
    """Return the job and its request with the voice of the clip that it brings, if it brings one.

    Raises:
        JobError: the clip can't be taken, or a server is away.
    """
    if not body.brings_voice:
        return job, request
    if not offer.catalogue.imitates:
        raise CloningUnavailable(offer.catalogue.engine)
    consent = consent_of(job.tenant, "reference_consent", services, given=body.reference_consent)
    voice = new_voice(Clip(url=body.reference_audio_url or ""), job.tenant, consent)
    voice = replace(voice, brought_by=job.id, job=job.id)
    await _store(voice, body, services)
    tell("brought", voice)
    # As a long one: its plan prepares the clip first.
    return replace(job, long=True, segments_total=0), replace(request, voice=voice.reference)


async def without_its_voice(request: SpeechRequest, body: JobRequest, services: Services) -> None:
    """Delete the voice of a job that is not made after all."""
    if body.brings_voice and (voice := await services.voices.get(parse(request.voice)[0])):
        await delete(voice, services)


async def _store(voice: LibraryVoice, body: JobRequest, services: Services) -> None:
    if not body.reference_upload:
        clip = Clip(url=voice.source_url)
        check_clip(clip, services)
        await services.voices.create(voice)
        return
    limit = services.settings.max_clip_bytes
    file = await fetched(body.reference_upload, "", services, tenant=voice.tenant, limit=limit)
    with file.file:
        clip = Clip(file)
        check_clip(clip, services)
        await services.voices.create(voice)
        try:
            await store_clip(voice, clip, services)
        except JobError:
            await delete(voice, services)
            raise

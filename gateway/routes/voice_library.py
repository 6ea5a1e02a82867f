"""Voices of a tenant's own: made of a clip, changed, given another clip, heard, deleted."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from gateway import delivery, presenting, voice_deletion
from gateway.dependencies import ReaderDep, ServicesDep, VoicesDep
from gateway.owned import own_job, own_voice
from gateway.ranges import AskedDep
from gateway.routes.file_forms import file_form
from gateway.routes.problems import problems
from gateway.voice_clips import received_clip
from gateway.voice_library import create, replace_clip, tell
from gateway.voice_offer import offer_to
from gateway.voice_preview import check_language
from gateway.voice_schemas import (
    ClipElsewhere,
    ClipOptions,
    DefaultVoice,
    LibraryVoiceStatus,
    VoiceChange,
    VoiceElsewhere,
    VoiceOptions,
)
from gateway.voice_showing import changed_by, status
from shared.audio_formats import FORMATS
from shared.errors import AudioExpired, JobNotFound, PreviewNotReady, VoiceFailed, VoiceNotFound
from shared.jobs import JobState
from shared.voice_library import VoiceState, as_named

router = APIRouter(prefix="/v1/voices", tags=["voices"])

_CLIP = "A recording of 3 to 30 seconds of one person: WAV, MP3, M4A, Ogg, FLAC or WebM."


def _sent(options: type[VoiceOptions | ClipOptions], elsewhere: type[VoiceElsewhere | ClipElsewhere]) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": file_form(options.model_json_schema(), file=_CLIP),
                "application/json": {"schema": elsewhere.model_json_schema()},
            },
        }
    }


@router.post(
    "",
    status_code=202,
    response_model=LibraryVoiceStatus,
    responses=problems(400, 409, 413, 422, 503),
    openapi_extra=_sent(VoiceOptions, VoiceElsewhere),
)
async def create_voice(
    request: Request,
    services: ServicesDep,
    caller: VoicesDep,
    idempotency_key: Annotated[str, Header(max_length=255, description="Sent again, it returns the same voice.")] = "",
) -> Response:
    """Make a voice of a clip. It can be named once it is `ready`: its clip is checked, and a preview is spoken.

    The clip is the part `file` of a form, with `options` beside it; or it was uploaded before, or lies at a URL.
    """
    async with received_clip(request, VoiceOptions, VoiceElsewhere, services, tenant=caller.tenant) as (clip, options):
        new = await create(clip, options, services, key=idempotency_key, caller=caller)
    headers = {"Location": f"/v1/voices/{new.voice.id}", "Retry-After": "2"}
    if new.replayed:
        headers["Idempotent-Replayed"] = "true"
    return _answer(await status(new.voice, services), status_code=202, headers=headers)


@router.put("/default", responses=problems(404, 409, 410, 422, 503))
async def put_default_voice(body: DefaultVoice, services: ServicesDep, caller: VoicesDep) -> DefaultVoice:
    """Choose who speaks for your tenant what names nobody: one of the engine's voices, or one of your own."""
    voice = None
    if body.voice:
        offer = await offer_to(caller.tenant, [body.voice], services)
        voice = as_named(offer.voice(body.voice))
    await services.voices.set_default(caller.tenant, voice or "")
    return DefaultVoice(voice=voice)


@router.get("/{voice_id}", responses=problems(404, 503))
async def get_voice(voice_id: str, services: ServicesDep, caller: ReaderDep) -> LibraryVoiceStatus:
    """Look at a voice of your own."""
    return await status(await own_voice(voice_id, services, caller), services)


@router.patch("/{voice_id}", responses=problems(404, 422, 503))
async def patch_voice(voice_id: str, body: VoiceChange, services: ServicesDep, caller: VoicesDep) -> LibraryVoiceStatus:
    """Change what a voice of your own is called, or what is said of it."""
    voice = await own_voice(voice_id, services, caller)
    check_language(body.language or "")
    changed = await services.voices.change(voice.id, lambda now: changed_by(body, now))
    if changed is None or changed.over:
        raise VoiceNotFound(voice.id)
    return await status(changed, services)


@router.put(
    "/{voice_id}/clip",
    status_code=202,
    response_model=LibraryVoiceStatus,
    responses=problems(404, 413, 422, 503),
    openapi_extra=_sent(ClipOptions, ClipElsewhere),
)
async def put_clip(voice_id: str, request: Request, services: ServicesDep, caller: VoicesDep) -> Response:
    """Give a voice of your own another clip. What was spoken with the one before is deleted.

    Until the new clip is checked, nobody can name the voice.
    """
    voice = await own_voice(voice_id, services, caller)
    async with received_clip(request, ClipOptions, ClipElsewhere, services, tenant=caller.tenant) as (clip, options):
        changed = await replace_clip(voice, clip, services, consent=options.consent, caller=caller)
    return _answer(await status(changed, services), status_code=202, headers={"Retry-After": "2"})


@router.head("/{voice_id}/preview", include_in_schema=False)
@router.get(
    "/{voice_id}/preview",
    response_class=StreamingResponse,
    responses={
        200: {"content": {FORMATS["mp3"].content_type: {}}},
        206: {"description": "The asked range."},
        307: {"description": "A presigned link, where the gateway is set to redirect."},
        **problems(404, 409, 410, 416, 422, 503),
    },
)
async def get_preview(
    voice_id: str,
    services: ServicesDep,
    caller: ReaderDep,
    asked: AskedDep,
) -> Response:
    """Hear a voice of your own say a sentence."""
    voice = await own_voice(voice_id, services, caller)
    if voice.state is VoiceState.FAILED:
        raise VoiceFailed(voice.id, voice.problems)
    try:
        view = await own_job(voice.job, services, caller)
    except JobNotFound:  # it is recorded after the voice; and it may have been removed, as any job
        raise PreviewNotReady(voice.id) if voice.state is VoiceState.CHECKING else AudioExpired from None
    if view.job.state in (JobState.QUEUED, JobState.RUNNING):
        raise PreviewNotReady(voice.id)
    audio = await delivery.audio_of(view, services)
    name = presenting.file_name(voice.id, audio)
    file = delivery.AudioFile(view.job.id, audio, name, FORMATS[audio.format].content_type)
    return await delivery.handed_out(file, asked, services)


@router.delete("/{voice_id}", status_code=204, responses=problems(404, 503))
async def delete_voice(voice_id: str, services: ServicesDep, caller: VoicesDep) -> None:
    """Delete a voice of your own, its clip, all that was made of it, and the audio that was spoken with it."""
    voice = await own_voice(voice_id, services, caller)
    await voice_deletion.delete(voice, services)
    tell("deleted", voice, key=caller.key)


def _answer(body: LibraryVoiceStatus, *, status_code: int, headers: dict[str, str]) -> Response:
    return Response(body.model_dump_json(), status_code, headers=headers, media_type="application/json")

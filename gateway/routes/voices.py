"""What the engine offers, and the voices of a tenant's own beside it."""

from typing import Annotated

from fastapi import APIRouter, Query

from gateway.auth.caller import Caller
from gateway.dependencies import KnownDep, Services, ServicesDep
from gateway.routes.problems import problems
from gateway.schemas import EmotionList, MissingVoice, Voice
from gateway.voice_offer import default_voice, offer_to
from gateway.voice_schemas import VoiceList
from gateway.voice_showing import statuses
from shared.access import Scope
from shared.errors import InvalidCursor
from shared.voice_library import LibraryVoice, as_named, is_library_voice

router = APIRouter(prefix="/v1", tags=["voices"])


@router.get("/voices", responses=problems(400, 422, 503))
async def list_voices(
    services: ServicesDep,
    caller: KnownDep,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before, of your own voices.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Of your own voices.")] = 100,
) -> VoiceList:
    """List the engine's voices, those that this installation lacks, and your own, the newest first."""
    if cursor is not None and not (is_library_voice(cursor) and as_named(cursor) == cursor):
        raise InvalidCursor
    offer = await offer_to(caller.tenant, [None], services)
    catalogue = offer.catalogue
    own = await _own(services, caller, cursor=cursor, limit=limit + 1)
    return VoiceList(
        engine=catalogue.engine,
        revision=catalogue.revision,
        sample_rate=catalogue.sample_rate,
        default=default_voice(offer, services.settings),
        voices=[Voice.model_validate(voice) for voice in catalogue.voices],
        controls=list(catalogue.controls),
        blends=catalogue.blends,
        imitates=catalogue.imitates,
        missing=[MissingVoice(id=voice, reason=reason) for voice, reason in catalogue.missing.items()],
        library=None if own is None else await statuses(own[:limit], services),
        next_cursor=own[limit - 1].id if own and len(own) > limit else None,
    )


async def _own(services: Services, caller: Caller, *, cursor: str | None, limit: int) -> list[LibraryVoice] | None:
    """Return voices of the caller's tenant; None for who may not look at what is the tenant's."""
    if not caller.scopes & {Scope.JOBS_READ, Scope.VOICES_WRITE, Scope.ADMIN}:
        return None
    return await services.voices.page(caller.tenant, before=cursor, limit=limit)


@router.get("/emotions", responses=problems(503))
async def list_emotions(services: ServicesDep, _: KnownDep) -> EmotionList:
    """List the emotion tags."""
    catalogue = await services.known.catalogue()
    return EmotionList(emotions=list(catalogue.emotions), free_text=catalogue.free_text_emotion)

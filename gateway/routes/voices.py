"""What the engine offers."""

from fastapi import APIRouter

from gateway.dependencies import KnownDep, ServicesDep
from gateway.routes.problems import problems
from gateway.schemas import EmotionList, MissingVoice, Voice, VoiceList
from gateway.submission import default_voice

router = APIRouter(prefix="/v1", tags=["voices"])

_PROBLEMS = problems(503)


@router.get("/voices", responses=_PROBLEMS)
async def list_voices(services: ServicesDep, _: KnownDep) -> VoiceList:
    """List the voices, and the ones that this installation lacks."""
    catalogue = await services.known.catalogue()
    return VoiceList(
        engine=catalogue.engine,
        revision=catalogue.revision,
        sample_rate=catalogue.sample_rate,
        default=default_voice(catalogue, services.settings),
        voices=[Voice.model_validate(voice) for voice in catalogue.voices],
        controls=list(catalogue.controls),
        blends=catalogue.blends,
        missing=[MissingVoice(id=voice, reason=reason) for voice, reason in catalogue.missing.items()],
    )


@router.get("/emotions", responses=_PROBLEMS)
async def list_emotions(services: ServicesDep, _: KnownDep) -> EmotionList:
    """List the emotion tags."""
    catalogue = await services.known.catalogue()
    return EmotionList(emotions=list(catalogue.emotions), free_text=catalogue.free_text_emotion)

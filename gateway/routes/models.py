"""What clients of OpenAI's API list: models, and voices. Anybody may, where EMOTIVOICE_PUBLIC_VOICES is set."""

from fastapi import APIRouter

from gateway.auth.caller import Caller
from gateway.dependencies import KnownDep, Services, ServicesDep
from gateway.openai_schemas import Model, ModelList, SpeechModelList, SpeechVoice, SpeechVoiceList
from gateway.routes.problems import openai_problems
from gateway.speech import models_of
from shared.access import Scope
from shared.voice_library import VoiceState

router = APIRouter(prefix="/v1", tags=["openai"])


@router.get("/models", responses=openai_problems(503))
async def list_models(services: ServicesDep, _: KnownDep) -> ModelList:
    """List the names by which the engine may be asked for; the first two are its own."""
    return ModelList(data=_models((await services.known.catalogue()).engine))


@router.get("/audio/models", responses=openai_problems(503))
async def list_speech_models(services: ServicesDep, _: KnownDep) -> SpeechModelList:
    """The same, as open-webui asks for it."""
    models = _models((await services.known.catalogue()).engine)
    return SpeechModelList(models=models, data=models)


@router.get("/audio/voices", responses=openai_problems(503))
async def list_speech_voices(services: ServicesDep, caller: KnownDep) -> SpeechVoiceList:
    """List the voices: the engine's, and for a caller who may `jobs:read` also its own that can speak."""
    voices = [SpeechVoice.model_validate(voice) for voice in (await services.known.catalogue()).voices]
    return SpeechVoiceList(voices=voices + await _own_voices(caller, services))


async def _own_voices(caller: Caller, services: Services) -> list[SpeechVoice]:
    if not caller.scopes & {Scope.JOBS_READ, Scope.ADMIN}:
        return []
    found = await services.voices.page(caller.tenant, before=None, limit=services.settings.most_voices)
    return [
        SpeechVoice(
            id=voice.id, name=voice.name, languages=[voice.language] if voice.language else [], gender="unknown"
        )
        for voice in found
        if voice.state is VoiceState.READY
    ]


def _models(engine: str) -> list[Model]:
    return [Model(id=name, name=name) for name in models_of(engine)]

"""What clients of OpenAI's API list: models, and voices. Anybody may, where EMOTIVOICE_PUBLIC_VOICES is set."""

from fastapi import APIRouter

from gateway.dependencies import KnownDep, ServicesDep
from gateway.openai_schemas import Model, ModelList, SpeechModelList, SpeechVoice, SpeechVoiceList
from gateway.routes.problems import openai_problems
from gateway.speech import models_of

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
async def list_speech_voices(services: ServicesDep, _: KnownDep) -> SpeechVoiceList:
    """List the voices."""
    return SpeechVoiceList(
        voices=[SpeechVoice.model_validate(voice) for voice in (await services.known.catalogue()).voices]
    )


def _models(engine: str) -> list[Model]:
    return [Model(id=name, name=name) for name in models_of(engine)]

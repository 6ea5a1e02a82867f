"""What a route may ask for."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from gateway.auth.caller import Caller
from gateway.auth.callers import Callers
from gateway.known import Known
from gateway.quotas import Quotas
from gateway.settings import GatewaySettings
from shared.access import Scope
from shared.batch_store import AsyncBatches
from shared.book_store import AsyncBooks
from shared.children import AsyncChildJobs
from shared.live import AsyncLiveSpeech
from shared.ports import AsyncJobQueue, AsyncJobStore, ObjectStore
from shared.usage import AsyncUsage
from shared.voice_store import AsyncVoices
from shared.webhook_store import AsyncWebhooks


@dataclass(frozen=True)
class Services:
    """All that the gateway talks to."""

    settings: GatewaySettings
    jobs: AsyncJobStore
    queue: AsyncJobQueue
    objects: ObjectStore
    known: Known
    callers: Callers
    usage: AsyncUsage
    quotas: Quotas
    webhooks: AsyncWebhooks
    live: AsyncLiveSpeech
    books: AsyncBooks
    children: AsyncChildJobs
    batches: AsyncBatches
    voices: AsyncVoices


async def _services(request: Request) -> Services:  # async: FastAPI would run it in a thread
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(_services)]

_BEARER = HTTPBearer(auto_error=False, description="A JSON Web Token or an API key.")  # for OpenAPI; Guard has read it


async def _allowed(request: Request, wanted: SecurityScopes, _: Annotated[object, Security(_BEARER)]) -> Caller:
    caller = cast(Caller, request.state.caller)
    for scope in wanted.scopes:
        caller.check(Scope(scope))
    return caller


async def _uploader(request: Request) -> Caller:
    caller = cast(Caller, request.state.caller)
    caller.check(*UPLOAD_SCOPES)
    return caller


UPLOAD_SCOPES = (Scope.BOOKS_WRITE, Scope.SPEECH_WRITE, Scope.VOICES_WRITE)  # any of them will do
UploaderDep = Annotated[Caller, Depends(_uploader)]  # the route documents them: FastAPI would say that all are needed
KnownDep = Annotated[Caller, Security(_allowed)]
SpeakerDep = Annotated[Caller, Security(_allowed, scopes=[Scope.SPEECH_WRITE])]
BooksDep = Annotated[Caller, Security(_allowed, scopes=[Scope.BOOKS_WRITE])]
VoicesDep = Annotated[Caller, Security(_allowed, scopes=[Scope.VOICES_WRITE])]
ReaderDep = Annotated[Caller, Security(_allowed, scopes=[Scope.JOBS_READ])]

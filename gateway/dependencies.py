"""What a route may ask for."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from gateway.known import Known
from gateway.settings import GatewaySettings
from shared.ports import AsyncJobQueue, AsyncJobStore, ObjectStore


@dataclass(frozen=True)
class Services:
    """All that the gateway talks to."""

    settings: GatewaySettings
    jobs: AsyncJobStore
    queue: AsyncJobQueue
    objects: ObjectStore
    known: Known


async def _services(request: Request) -> Services:  # async: FastAPI would run it in a thread
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(_services)]

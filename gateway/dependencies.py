"""What a route may ask for."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from gateway.known import Known
from gateway.settings import GatewaySettings
from shared.ports import AsyncJobStore, JobQueue, ObjectStore


@dataclass(frozen=True)
class Services:
    """All that the gateway talks to."""

    settings: GatewaySettings
    jobs: AsyncJobStore
    queue: JobQueue
    objects: ObjectStore
    known: Known


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(_services)]

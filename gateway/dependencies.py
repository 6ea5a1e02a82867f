"""What a route may ask for."""

import re
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from gateway.known import Known
from gateway.settings import GatewaySettings
from shared.errors import InvalidTenant
from shared.jobs import NO_TENANT
from shared.ports import AsyncJobQueue, AsyncJobStore, ObjectStore

_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)  # it becomes a label of metrics


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


async def _tenant(request: Request, services: ServicesDep) -> str:
    """Return whose the request is, as the proxy in front tells.

    Raises:
        InvalidTenant: the header holds no name.
    """
    header = services.settings.tenant_header
    name = request.headers.get(header, NO_TENANT) if header else NO_TENANT
    if not _TENANT.fullmatch(name):
        raise InvalidTenant(header)
    return name


TenantDep = Annotated[str, Depends(_tenant)]

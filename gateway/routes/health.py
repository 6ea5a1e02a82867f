"""Is the process alive, can it take work, and how does it do."""

from collections.abc import Awaitable
from typing import Literal

import anyio
from anyio import to_thread
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from gateway.dependencies import ServicesDep
from gateway.metrics import forget_loads, show_loads
from shared.errors import JobError, StoreUnavailable

router = APIRouter(tags=["health"])

READY_SECONDS = 3.0


class Readiness(BaseModel):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = Field(description="What each dependency says: ok, or what is wrong.")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "A dependency does not answer; it is named."}},
)
async def readyz(services: ServicesDep) -> Response:
    """It can take work: every dependency answers, and a worker has announced its voices."""
    checks: dict[str, str] = {}
    async with anyio.create_task_group() as group:
        group.start_soon(_check, checks, "redis", services.jobs.ping())
        group.start_soon(_check, checks, "broker", services.queue.ping())
        group.start_soon(_check, checks, "s3", to_thread.run_sync(services.objects.ping, abandon_on_cancel=True))
        group.start_soon(_check, checks, "voices", services.known.catalogue())
    ready = all(state == "ok" for state in checks.values())
    return JSONResponse({"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503)


async def _check(checks: dict[str, str], name: str, probe: Awaitable[object]) -> None:
    try:
        with anyio.fail_after(READY_SECONDS):
            await probe
    except JobError as error:
        checks[name] = str(error)
    except TimeoutError:
        checks[name] = f"no answer within {READY_SECONDS:g} s"
    else:
        checks[name] = "ok"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus metrics of this process, and the load of each lane while Redis answers."""
    try:
        show_loads(await services.jobs.loads())
    except StoreUnavailable:
        forget_loads()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

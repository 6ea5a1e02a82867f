"""Links to which clients send files, past the gateway."""

import time

import uuid_utils
from fastapi import APIRouter

from gateway.book_schemas import Upload
from gateway.dependencies import UPLOAD_SCOPES, ServicesDep, UploaderDep
from gateway.receiving import uploads_of
from gateway.routes.problems import problems
from shared.shown import at

router = APIRouter(prefix="/v1/uploads", tags=["books"])

KEPT_SECONDS = 24 * 3600.0


@router.post(
    "",
    status_code=201,
    responses=problems(503),
    openapi_extra={"security": [{"HTTPBearer": [scope]} for scope in UPLOAD_SCOPES]},
)
async def create_upload(services: ServicesDep, caller: UploaderDep) -> Upload:
    """Get a link of the object store for a book's or batch's file. PUT it there, then name its key as `source_key`.

    The link is good for one file, which is deleted after a day.
    """
    settings, now = services.settings, time.time()
    link_seconds = min(settings.link_seconds, KEPT_SECONDS)  # what is sent later would stay for ever
    key = f"{uploads_of(caller.tenant)}{uuid_utils.uuid7()}"
    await services.books.let_go(key, at=now + KEPT_SECONDS)  # before anything can be there
    return Upload(
        key=key,
        url=services.objects.upload_link(key, seconds=int(link_seconds)),
        url_expires_at=at(now + link_seconds),
        expires_at=at(now + KEPT_SECONDS),
        max_bytes=max(settings.max_file_bytes, settings.max_batch_bytes),
    )

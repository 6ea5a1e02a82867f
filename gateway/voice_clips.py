"""A reference clip as a request brings it: in a form, uploaded before, or at a URL."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import Request

from gateway.dependencies import Services
from gateway.receiving import fetched, form, json_body, received
from gateway.voice_library import Clip
from gateway.voice_schemas import ClipElsewhere, ClipOptions, VoiceElsewhere

Options = TypeVar("Options", bound=ClipOptions)


@asynccontextmanager
async def received_clip(
    request: Request,
    options: type[Options],
    elsewhere: type[VoiceElsewhere | ClipElsewhere],
    services: Services,
    *,
    tenant: str,
) -> AsyncGenerator[tuple[Clip, Options]]:
    """Yield the clip, and what is said of it. Its file is closed then.

    Raises:
        JobError, RequestValidationError: there is none, it is too large, or it can't be read.
    """
    limit = services.settings.max_clip_bytes
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        upload, said = await form(request, options)
        with upload.file:
            yield Clip(await received(upload, limit=limit)), said
        return
    named = await json_body(request, elsewhere, limit=services.settings.max_body_bytes)
    said = options.model_validate(named.model_dump(exclude={"source_key", "source_url"}))
    if named.source_url:
        yield Clip(url=named.source_url), said
        return
    file = await fetched(named.source_key or "", "", services, tenant=tenant, limit=limit)
    with file.file:
        yield Clip(file), said

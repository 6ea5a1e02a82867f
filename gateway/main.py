"""The only wiring of the gateway: settings in, application out."""

import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import cache

import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import ValidationError
from uvicorn.config import STARTUP_FAILURE

from gateway.audit import Audit
from gateway.auth.callers import Callers
from gateway.auth.guard import Guard
from gateway.body_limit import BodyLimit
from gateway.book_changes import MOST_COVER_BYTES
from gateway.connection import Connection
from gateway.dependencies import Services
from gateway.errors import add_error_handlers
from gateway.known import Known
from gateway.metrics import RequestMetrics
from gateway.openai_errors import OpenAIErrors
from gateway.openapi import by_name, completed
from gateway.quotas import QuotaGate, Quotas
from gateway.routes import (
    batch_results,
    batches,
    book_results,
    books,
    events,
    health,
    jobs,
    models,
    speech,
    stream,
    uploads,
    voice_library,
    voices,
    webhooks,
)
from gateway.routes import usage as usage_routes
from gateway.security_headers import SecurityHeaders
from gateway.settings import GatewaySettings, wrong_with
from gateway.stream_messages import MOST_BYTES
from gateway.tracing import NamesTrace, spans
from shared import tracing
from shared.api_keys import RedisApiKeys
from shared.async_job_store import AsyncRedisJobStore
from shared.batch_store import AsyncRedisBatches
from shared.book_store import AsyncRedisBooks
from shared.children import AsyncRedisChildJobs
from shared.live import AsyncRedisLiveSpeech
from shared.logging import set_up_logging
from shared.object_store import S3ObjectStore
from shared.queue import GatewayQueue
from shared.tenants import RedisTenants
from shared.usage_store import RedisUsage
from shared.voice_store import AsyncRedisVoices
from shared.webhook_store import AsyncRedisWebhooks

log = logging.getLogger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

# What a script of another site may read besides the usual.
CORS_EXPOSED = [
    "ETag",
    "Location",
    "Retry-After",
    "Content-Range",
    "Accept-Ranges",
    "RateLimit",
    "RateLimit-Policy",
    "X-Request-Id",
    "X-Emotivoice-Job",
]

THREADS = 64  # for calls that block: publishing, reading objects

FORM_BYTES = 1024 * 1024 + 64 * 1024  # of a form with a file: its options and what parts it

DESCRIPTION = """
Submit text with `POST /v1/jobs`, look at the job until it is finished (`GET /v1/jobs/{id}?wait=30`), fetch its audio.
Every error is a problem+json (RFC 9457) whose `code` never changes.
"""


def create_app(settings: GatewaySettings) -> FastAPI:
    """Return the gateway on the real stores."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        redis_url = settings.redis_url.get_secret_value()
        queue = GatewayQueue(settings.broker_url.get_secret_value())
        store = AsyncRedisJobStore(
            redis_url,
            windows=settings.windows,
            send=lambda step: queue.enqueue(step.job_id, step.step, lane=step.lane),
        )
        api_keys, usage = RedisApiKeys(redis_url), RedisUsage(redis_url)
        tenants, hooks = RedisTenants(redis_url), AsyncRedisWebhooks(redis_url)
        live = AsyncRedisLiveSpeech(redis_url)
        book_store, children = AsyncRedisBooks(redis_url), AsyncRedisChildJobs(redis_url)
        batch_store, voice_store = AsyncRedisBatches(redis_url), AsyncRedisVoices(redis_url)
        app.state.services = Services(
            settings=settings,
            jobs=store,
            queue=queue,
            objects=S3ObjectStore(settings),
            known=Known(store),
            callers=Callers(settings, api_keys),
            usage=usage,
            quotas=Quotas(settings, tenants),
            webhooks=hooks,
            live=live,
            books=book_store,
            children=children,
            batches=batch_store,
            voices=voice_store,
        )
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        await store.close()
        await api_keys.close()
        await usage.close()
        await tenants.close()
        await hooks.close()
        await live.close()
        await book_store.close()
        await children.close()
        await batch_store.close()
        await voice_store.close()
        await to_thread.run_sync(tracing.stop)

    tracing.start(settings, "gateway")
    return application(settings, lifespan)


def application(settings: GatewaySettings, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the routes, without stores unless the lifespan brings them."""
    app = FastAPI(
        title="EmotiVoice Fleet",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        telemetry=spans(),
        generate_unique_id_function=by_name,
    )
    app.state.leaving = lambda: False
    app.state.streams = stream.OpenStreams(settings.streams_per_tenant)
    app.include_router(jobs.router)
    app.include_router(events.router)
    app.include_router(webhooks.router)
    app.webhooks.include_router(webhooks.sent)
    app.include_router(books.router)
    app.include_router(book_results.router)
    app.include_router(uploads.router)
    app.include_router(voices.router)
    app.include_router(voice_library.router)
    app.include_router(speech.router)
    app.include_router(stream.router)
    app.include_router(models.router)
    app.include_router(batches.router)
    app.include_router(batch_results.router)
    app.include_router(usage_routes.router)
    app.include_router(health.router)
    described = app.openapi
    app.openapi = cache(lambda: completed(described(), settings))
    add_error_handlers(app)
    app.add_middleware(Audit)
    app.add_middleware(
        BodyLimit, limit=settings.max_body_bytes, seconds=settings.body_seconds, larger=_larger(settings)
    )
    app.add_middleware(QuotaGate)
    app.add_middleware(Guard)
    app.add_middleware(OpenAIErrors)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins.split(),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=CORS_EXPOSED,
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestMetrics)
    app.add_middleware(NamesTrace)
    return app


def _larger(settings: GatewaySettings) -> dict[str, int]:
    """Return the paths that take files, and how large a body may be there."""
    return {
        "/v1/batches": settings.max_batch_bytes + FORM_BYTES,
        "/v1/books": settings.max_file_bytes + FORM_BYTES,
        "/v1/books/[^/]+/cover": MOST_COVER_BYTES,
        "/v1/voices": settings.max_clip_bytes + FORM_BYTES,
        "/v1/voices/[^/]+/clip": settings.max_clip_bytes + FORM_BYTES,
    }


def main() -> None:
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        sys.exit("\n".join(wrong_with(error)))
    set_up_logging(settings.log_level)
    if settings.auth_off:
        log.warning("authentication is off: whoever reaches %s may use the service", settings.gateway_host)
    # It would tell whole addresses, and a client may have put a token into one.
    logging.getLogger("uvicorn.error").addFilter(lambda record: '"WebSocket ' not in str(record.msg))
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.gateway_host,
        port=settings.gateway_port,
        log_config=None,
        access_log=False,
        http=Connection,
        ws_max_size=MOST_BYTES,
        # A pong comes late from who reads slowly: it is behind the audio. Who is gone is found out by what is sent.
        ws_ping_timeout=None,
        ws_per_message_deflate=False,  # audio is compressed already, and each connection would have its own memory
        timeout_graceful_shutdown=35,  # a long poll may last 30 s
    )
    server = uvicorn.Server(config)
    app.state.leaving = lambda: server.should_exit  # what has no end of its own ends then
    with suppress(KeyboardInterrupt):  # raised again once it has stopped
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)

"""From failure to HTTP: one table, and every answer a problem+json (RFC 9457)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from shared.errors import Forbidden, JobError, Unauthorized
from shared.job_request import code_of

STATUS_OF: dict[str, int] = {
    "empty_text": 422,
    "text_too_long": 422,
    "control_character": 422,
    "invalid_mark": 422,
    "unknown_voice": 422,
    "invalid_blend": 422,
    "unsupported_control": 422,
    "unknown_emotion": 422,
    "unsupported_language": 422,
    "model_not_found": 404,
    "job_cancelled": 409,
    "unknown_format": 422,
    "unsupported_sample_rate": 422,
    "body_too_large": 413,
    "body_too_slow": 408,
    "job_not_found": 404,
    "audio_not_ready": 409,
    "audio_expired": 410,
    "audio_lost": 503,
    "idempotency_conflict": 409,
    "webhook_not_found": 404,
    "delivery_not_found": 404,
    "invalid_webhook_url": 422,
    "no_webhook_secret": 422,
    "too_many_webhooks": 409,
    "book_not_found": 404,
    "book_conflict": 409,
    "book_unread": 409,
    "chapter_not_found": 404,
    "unknown_chapter": 422,
    "invalid_order": 422,
    "nothing_included": 422,
    "chapter_too_long": 422,
    "invalid_cover": 422,
    "edition_not_found": 404,
    "invalid_form": 422,
    "file_too_large": 413,
    "unknown_upload": 422,
    "empty_file": 422,
    "keep_too_long": 422,
    "voice_not_found": 404,
    "voice_not_ready": 409,
    "preview_not_ready": 409,
    "voice_failed": 422,
    "poor_clip": 422,
    "invalid_clip_url": 422,
    "cloning_unavailable": 422,
    "consent_required": 422,
    "voice_deleted": 410,
    "too_many_voices": 409,
    "invalid_cursor": 400,
    "invalid_tenant": 400,
    "invalid_period": 422,
    "batch_not_found": 404,
    "batch_not_over": 409,
    "batch_is_over": 409,
    "empty_batch": 422,
    "too_many_lines": 413,
    "invalid_batch_options": 422,
    "invalid_template": 422,
    "unsupported_media_type": 415,
    "quota_exceeded": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "auth_unavailable": 503,
    "queue_unavailable": 503,
    "store_unavailable": 503,
    "storage_unavailable": 503,
    "no_worker_yet": 503,
    "overloaded": 503,
    "invalid_message": 422,
    "stream_idle": 408,
    "reader_too_slow": 408,
    "too_many_streams": 429,
    "foreign_origin": 403,
    # These are of a batch's lines; no route answers with them.
    "line_too_long": 422,
    "missing_variable": 422,
    "unknown_variable": 422,
    "text_twice": 422,
    # These end a job; no route answers with them.
    "audio_missing": 500,
    "unreadable_book": 422,
    "edition_impossible": 500,
    "engine_failed": 500,
    "invalid_audio": 500,
    "unspeakable_text": 500,
    "out_of_memory": 500,
    "timed_out": 500,
    "worker_lost": 500,
    "internal_error": 500,
}

RETRY_AFTER_SECONDS = 5

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 416: "range_not_satisfiable"}

_EXTRAS = ("allowed", "nearest", "limit", "length", "position", "job_id", "state", "scope", "quota", "used", "param")


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, extras: Mapping[str, object] = {}
) -> ProblemResponse:
    """Return the answer for a failure."""
    body = {
        "type": f"urn:emotivoice:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
    }
    return ProblemResponse(body | dict(extras), status, headers=dict(headers or {}))


def job_problem(error: JobError) -> ProblemResponse:
    status = STATUS_OF[error.code]
    headers = _challenge(error) | _retry_after(error, status)
    extras = {name: vars(error)[name] for name in _EXTRAS if name in vars(error)}
    return problem(status, error.code, str(error), headers=headers, extras=extras)


def _retry_after(error: JobError, status: int) -> dict[str, str]:
    """Say when to come again, if that is known, or to be guessed."""
    seconds = getattr(error, "retry_after_seconds", RETRY_AFTER_SECONDS if status == 503 else None)
    return {} if seconds is None else {"Retry-After": str(max(math.ceil(seconds), 1))}


def _challenge(error: JobError) -> dict[str, str]:
    """Say what a request has to bring, by RFC 6750, section 3."""
    match error:
        case Unauthorized(challenge=""):
            parts: list[str] = []
        case Unauthorized(challenge=challenge):
            parts = [f'error="{challenge}"', f'error_description="{error}"']
        case Forbidden(scope=scope):
            parts = ['error="insufficient_scope"', f'scope="{scope}"']
        case _:
            return {}
    return {"WWW-Authenticate": ", ".join(['Bearer realm="emotivoice"', *parts])}


def _invalid_request(_: Request, error: Exception) -> ProblemResponse:
    faults = cast(Sequence[dict[str, Any]], cast(RequestValidationError, error).errors())
    errors = [{"field": _path(fault["loc"]), "message": fault["msg"]} for fault in faults]
    code = code_of(faults[0])
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
    if code == "invalid_json":
        detail = f"send a JSON object with Content-Type: application/json ({detail})"
    return problem(422, code, detail, extras={"errors": errors})


def _path(location: Sequence[str | int]) -> str:
    """Return the field's path; for broken JSON the location is an offset, and the field the body itself."""
    names = [str(part) for part in location[1:]]
    return ".".join(names) if names and isinstance(location[1], str) else str(location[0])


def _http_error(request: Request, error: Exception) -> Response:
    http = cast(HTTPException, error)
    if http.status_code == 204:  # no failure: there is nothing more to tell
        return Response(status_code=204)
    if http.status_code == 400:  # FastAPI's own: bytes that are no UTF-8, or no form
        code = "invalid_form" if "form" in request.headers.get("content-type", "") else "invalid_json"
        return problem(422, code, f"{http.detail}; send what Content-Type says, and text as UTF-8")
    headers = dict(http.headers or {}) | ({"Allow": _allowed(request)} if http.status_code == 405 else {})
    return problem(http.status_code, _CODE_OF_STATUS.get(http.status_code, "http_error"), http.detail, headers=headers)


def _allowed(request: Request) -> str:
    """Return what may be done at the path. Starlette names the methods of the first of its routes only."""
    found: dict[str, bool] = {}  # whether the path as such is meant, and not what an id stands for
    for method in _METHODS:
        for route in _routes(request.app):
            match, child = route.matches({**request.scope, "path_params": {}, "method": method})
            if match is Match.FULL:
                found[method] = found.get(method, False) or not child["path_params"]
    return ", ".join(method for method, meant in found.items() if meant or not any(found.values()))


def _routes(app: FastAPI) -> Iterator[BaseRoute]:
    """Yield each route. FastAPI keeps routers as they were included."""
    for each in app.routes:
        router: APIRouter | None = getattr(each, "original_router", None)
        yield from router.routes if router else [each]


def _job_error(_: Request, error: Exception) -> ProblemResponse:
    return job_problem(cast(JobError, error))


def _unexpected(_: Request, __: Exception) -> ProblemResponse:
    return problem(500, "internal_error", "the gateway failed on this request; its log has the reason")


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(JobError, _job_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)

"""Answers of the routes that OpenAI's clients know: failures in their shape, and a name for each request."""

import json
import re
import uuid
from typing import Any, cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.logging import trace_id

PATHS = re.compile(r"/v1/(models|audio)(/.*)?$")
# Which field of a request a failure is about, where the failure itself does not say.
_PARAM_OF = {
    "empty_text": "input",
    "text_too_long": "input",
    "control_character": "input",
    "unspeakable_text": "input",
    "unknown_voice": "voice",
    "invalid_blend": "voice",
    "unknown_emotion": "emotion",
    "unsupported_language": "language",
    "unsupported_sample_rate": "sample_rate",
    "model_not_found": "model",
}
_STATUS_OF = {"unspeakable_text": 400}  # elsewhere it ends a job; here it is what is wrong with the request
_AGAIN = 503  # says when to come again; what else failed here would fail again


class OpenAIErrors:
    """Turns each problem+json of those paths, whoever answers it, into `error` with message, type, param and code."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not PATHS.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        body = b""

        async def translated(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = f"req_{trace_id.get() or uuid.uuid4().hex}"
                if headers.get("content-type", "").startswith("application/problem+json"):
                    started = message
                    return
            if started is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                await _send_error(started, json.loads(body), send)

        await self._app(scope, receive, translated)


async def _send_error(started: Message, problem: dict[str, Any], send: Send) -> None:
    status = _status(problem)
    content = json.dumps({"error": error_of(problem)}, ensure_ascii=False).encode()
    headers = MutableHeaders(scope=started)
    headers["content-type"] = "application/json"
    headers["content-length"] = str(len(content))
    if status >= 500:
        headers["x-should-retry"] = "true" if status == _AGAIN else "false"
    elif status == 429 and "retry-after" not in headers:  # over a quota by itself
        headers["x-should-retry"] = "false"
    await send({**started, "status": status})
    await send({"type": "http.response.body", "body": content})


def error_of(problem: dict[str, Any]) -> dict[str, str | None]:
    """Return a problem (RFC 9457) as OpenAI's clients read it. The `code` is ours, as everywhere."""
    status, code = _status(problem), str(problem["code"])
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    fields = cast(list[dict[str, str]], problem.get("errors", []))
    param = problem.get("param") or (fields[0]["field"] if fields else _PARAM_OF.get(code))
    return {"message": problem["detail"], "type": kind, "param": param, "code": code}


def _status(problem: dict[str, Any]) -> int:
    """Return the status that OpenAI has for it: 400 for whatever is wrong with a request."""
    status = _STATUS_OF.get(problem["code"], int(problem["status"]))
    return 400 if status == 422 else status

"""The API's description, with what FastAPI can't know: how requests fail, who needs a token, what an id is good for."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from gateway.auth.guard import LISTS
from gateway.openai_errors import PATHS as OPENAI_PATHS
from gateway.settings import GatewaySettings

Json = dict[str, Any]

_OF_ANY_CALLER = (400, 401, 403, 429, 503)  # not known, not allowed, over a quota; or Redis is away
_OF_A_BODY = (408, 413, 422)
_ID_OF = "$response.body#/id"


def completed(document: Json, settings: GatewaySettings) -> Json:
    """Complete the document in place, and return it. It may be complete."""
    for path, method, operation in _operations(document):
        if "security" in operation:
            _add_failures(operation, openai=bool(OPENAI_PATHS.match(path)))
            if not settings.auth or (path in LISTS and settings.public_voices):
                del operation["security"]
        if method == "post":
            _add_links(operation, path, document)
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _add_failures(operation: Json, *, openai: bool) -> None:
    """Give each failure its form: a problem by RFC 9457, or the `error` that OpenAI's clients read."""
    responses = operation["responses"]
    statuses = {*_OF_ANY_CALLER, *(_OF_A_BODY if "requestBody" in operation else ())}
    statuses |= {int(status) for status in responses if int(status) >= 400}
    if openai:
        statuses.discard(422)
        responses.pop("422", None)
    media_type, schema = ("application/json", "OpenAIProblem") if openai else ("application/problem+json", "Problem")
    for status in sorted(statuses):
        told = responses.get(str(status), {}).get("description", HTTPStatus(status).phrase)
        content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        responses[str(status)] = {"description": told, "content": content}


def _add_links(operation: Json, path: str, document: Json) -> None:
    """Say of a list's POST, whose answer has an id, which operations take that."""
    made = next((answer for status, answer in operation["responses"].items() if status in ("201", "202")), None)
    if made is None:
        return
    links = {
        child["operationId"]: {"operationId": child["operationId"], "parameters": {name: _ID_OF}}
        for child_path, _, child in _operations(document)
        if (name := _only_parameter(child_path, path))
    }
    if links:
        made["links"] = links


def _only_parameter(path: str, parent: str) -> str:
    """Return the name of the one parameter that the path has, right after its parent's."""
    rest = path.removeprefix(f"{parent}/{{")
    name, _, more = rest.partition("}")
    return "" if rest == path or "{" in more or "{" in parent else name


def by_name(route: Any) -> str:
    """Return how an operation is called by code that is generated from the document."""
    return str(route.name)

"""How routes document the failures that they may answer with."""

from typing import Any

from gateway.openai_schemas import OpenAIProblem
from gateway.schemas import Problem

_PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}}
_OPENAI_PROBLEM: dict[str, Any] = {"model": OpenAIProblem}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the statuses for OpenAPI, with those that any caller may get who is not known, or may not."""
    return dict.fromkeys((401, 403, 429, *statuses), _PROBLEM)


def openai_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same, in the shape of OpenAI's API."""
    return dict.fromkeys((400, 401, 403, 429, *statuses), _OPENAI_PROBLEM)

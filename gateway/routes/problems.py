"""How routes document the failures that are theirs. gateway/openapi.py adds those of every request."""

from typing import Any

from gateway.openai_schemas import OpenAIProblem
from gateway.schemas import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
_OPENAI_PROBLEM: dict[str, Any] = {"model": OpenAIProblem}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the statuses for OpenAPI."""
    return dict.fromkeys(statuses, _PROBLEM)


def openai_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same, in the shape of OpenAI's API."""
    return dict.fromkeys(statuses, _OPENAI_PROBLEM)

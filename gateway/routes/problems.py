"""How routes document the failures that they may answer with."""

from typing import Any

from gateway.schemas import Problem

_PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the statuses for OpenAPI, with those that any caller may get who is not known, or may not."""
    return dict.fromkeys((401, 403, 429, *statuses), _PROBLEM)

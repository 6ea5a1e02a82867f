"""Removes the jobs of what goes: a book's, a batch's."""

from collections.abc import Callable, Sequence
from typing import Protocol

CHILDREN_AT_ONCE = 500


class Children(Protocol):
    """What is needed of shared.children.RedisChildJobs."""

    def page(self, parent: str, *, after: str, limit: int) -> Sequence[str]: ...


class Records(Protocol):
    """What is needed of shared.sweep_store.RedisSweepStore."""

    def remove(self, job_id: str, *, now: float) -> None: ...


def emptied(
    parent: str, children: Children, records: Records, *, go_on: Callable[[], bool], clock: Callable[[], float]
) -> bool:
    """Remove a parent's jobs with their audio; whether it was all of them."""
    after = ""
    while ids := children.page(parent, after=after, limit=CHILDREN_AT_ONCE):
        for job_id in ids:
            if not go_on():
                return False
            records.remove(job_id, now=clock())
        after = ids[-1]
    return go_on()

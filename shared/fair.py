"""Fair shares of a lane: how many of one tenant's steps may wait in the broker's queue. The rest is parked in Redis.

The queue is first in, first out, so whoever comes waits for at most a window of each other tenant that has work there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.jobs import Job, Lane
from shared.ports import StepRef

Windows = Mapping[Lane, int]  # 0: no bound

NO_BOUND = 1_000_000_000
NO_WINDOWS: Windows = dict.fromkeys(Lane, 0)
NOTHING_GOES: Windows = dict.fromkeys(Lane, -1)  # for who can't send: what is parked stays until another sends it


def share(  # noqa: PLR0913 - every argument by name
    tenant: str,
    lane: Lane,
    windows: Windows,
    *,
    now: float,
    left: Sequence[str] = (),
    back: Sequence[str] = (),
    arrivals: Sequence[tuple[float, str]] = (),
    flow: str = "",
) -> dict[str, Any]:
    """Return a tenant's share of a lane for `share.lua`.

    Args:
        left: steps that wait no longer.
        back: steps whose message is in the queue already, or is sent by the caller.
        arrivals: steps that are to wait for their turn, with when they came.
        flow: the long text, book or batch that they belong to: those of a tenant take turns.
    """
    told: dict[str, Any] = {"lane": lane, "tenant": tenant, "window": windows[lane] or NO_BOUND, "now": now}
    told |= {"left": list(left)} if left else {}
    told |= {"back": list(back)} if back else {}
    told |= {"flow": flow} if flow else {}
    return told | ({"arrivals": [value for arrival in arrivals for value in arrival]} if arrivals else {})


def in_order(arrived: float, number: int) -> float:
    """Return when a text's segment arrived, so that segments of one moment keep their order."""
    return arrived + number * 1e-6


def ready_steps(reply: Sequence[str]) -> list[StepRef]:
    """Read what `share.lua` says is to be sent now."""
    found: list[StepRef] = []
    for lane, name in zip(reply[::2], reply[1::2], strict=True):
        job_id, _, step = name.rpartition(":")
        found.append(StepRef(job_id, step, Lane(lane)))
    return found


def first_arrival(job: Job) -> tuple[float, str]:
    return job.created_at, f"{job.id}:{job.first_step}"

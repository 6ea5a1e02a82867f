"""When a lane has more work than it does in the time that its jobs may wait, no more is taken.

How long a job would wait is what is before it times the seconds from one finished step to the next, as measured over
the last twenty or so. That is not known, and nobody is refused, before the first step and while no worker is warm: then
the lane is about to be scaled out, or stands still, and the broker's bound on the queue is what is left.
"""

from gateway.settings import GatewaySettings
from shared.errors import Overloaded
from shared.jobs import Lane
from shared.ports import LaneLoad


def most_ahead(load: LaneLoad, lane: Lane, settings: GatewaySettings) -> int:
    """Return how many steps may be before a new job of the lane, itself included; 0 if there is no bound.

    A tenant's window is always taken: with fewer messages the scaler would not ask for all its workers, which is what
    makes the wait shorter.
    """
    limit = _limit_seconds(lane, settings)
    if not (limit and load.seconds_per_step and load.warm_workers):
        return 0
    return max(int(limit / load.seconds_per_step), settings.windows[lane], 1)


def overloaded(lane: Lane, settings: GatewaySettings) -> Overloaded:
    """Return the refusal. In a tenth of the limit a tenth of the queue is done, and some of those refused have room."""
    limit = _limit_seconds(lane, settings)
    return Overloaded(lane, limit_seconds=limit, retry_after_seconds=limit / 10)


def _limit_seconds(lane: Lane, settings: GatewaySettings) -> float:
    limits = {Lane.INTERACTIVE: settings.interactive_wait_limit_seconds, Lane.BULK: settings.bulk_wait_limit_seconds}
    return limits.get(lane, 0.0)

"""How an attempt ended, and what that means for its message."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What is to become of the message."""

    ACKNOWLEDGE = "acknowledge"
    RETRY = "retry"  # it comes again, after some seconds
    HAND_BACK = "hand_back"  # it goes back to its queue as it is: any other worker may have it at once
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True)
class Ending:
    """How the attempt ended."""

    verdict: Verdict
    outcome: str
    retry_seconds: float = 0.0
    then: str = ""  # the step that the message stands for too, to be attempted now

"""What a soak does, all of it drawn from its seed: the jobs that come, and the faults that strike."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from shared.jobs import Lane
from tests.faults.clients import SENTENCE
from tests.faults.faults import Fault, Victim
from tests.faults.rig import WORKERS

SPEAKERS = [name for name, lane in WORKERS.items() if lane is not Lane.ASSEMBLY]
SPEAKING = (Victim.CHILD, Victim.MAIN)
LONG_SEGMENTS = 3
LONGEST_PAUSE_SECONDS = 2.0
LONGEST_GAP_SECONDS = 4.0


class OrderKind(StrEnum):
    """What a client does with a job besides waiting for it."""

    PLAIN = "plain"
    LONG = "long"  # planned, spoken in segments and joined
    CANCELLED = "cancelled"  # after a pause, if it is not finished by then
    REPEATED = "repeated"  # after a pause, with its idempotency key
    TWIN = "twin"  # two of the same text at the same time


WEIGHTS = {
    OrderKind.PLAIN: 70,
    OrderKind.LONG: 4,
    OrderKind.CANCELLED: 8,
    OrderKind.REPEATED: 10,
    OrderKind.TWIN: 4,
}


@dataclass(frozen=True)
class Order:
    """A job that is to come."""

    number: int
    kind: OrderKind
    text: str
    due_seconds: float  # from the start of the soak
    pause_seconds: float  # until it is cancelled or repeated


@dataclass(frozen=True)
class Strike:
    """A fault that is to come."""

    gap_seconds: float  # from the end of the fault before
    victim: Victim
    fault: Fault
    speaker: str  # which worker it is, where the victim is one that speaks

    def __str__(self) -> str:
        return f"{self.victim}, {self.fault}" + (f" ({self.speaker})" if self.victim in SPEAKING else "")


def orders(seed: int, *, jobs: int, seconds: float) -> list[Order]:
    """Return so many jobs, in the order in which they come within so many seconds."""
    chance = random.Random(f"{seed}, jobs")
    drawn: list[Order] = []
    for due in sorted(chance.uniform(0, seconds) for _ in range(jobs)):
        number = len(drawn)
        if number and drawn[-1].kind is OrderKind.TWIN and drawn[-1].text == _text(seed, number - 1):
            drawn.append(Order(number, OrderKind.TWIN, drawn[-1].text, drawn[-1].due_seconds, 0.0))
            continue
        (kind,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        text = _text(seed, number, segments=LONG_SEGMENTS if kind is OrderKind.LONG else 0)
        drawn.append(Order(number, kind, text, due, chance.uniform(0, LONGEST_PAUSE_SECONDS)))
    return drawn


def strikes(seed: int) -> Iterator[Strike]:
    """Yield faults without end; how many of them come in a soak depends on how long each takes."""
    chance = random.Random(f"{seed}, faults")
    while True:
        yield Strike(
            gap_seconds=chance.uniform(0, LONGEST_GAP_SECONDS),
            victim=chance.choice(list(Victim)),
            fault=chance.choice(list(Fault)),
            speaker=chance.choice(SPEAKERS),
        )


def _text(seed: int, number: int, *, segments: int = 0) -> str:
    """Return a text that no other job of this soak has; long, if it is to have segments."""
    text = f"Number {number} of soak {seed}, spoken slowly."
    return "\n\n".join(f"Part {part}. {text} {SENTENCE * 6}" for part in range(segments)) or text

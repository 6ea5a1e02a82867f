"""The quality gate of a chapter: an utterance that does not sound as it should is spoken again on another seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from audio.waveform import Waveform
from worker.batching import SharedEngine
from worker.engine import Engine, Hums, Speech, Utterance
from worker.metrics import RETAKES
from worker.omission import Result, each_spoken
from worker.quality import Fault, faults
from worker.trimming import trimmed

MOST_RETAKES = 2  # of one utterance


@dataclass
class Takes:
    """What came of a segment's utterances."""

    engine: Engine | SharedEngine
    judged: bool
    retakes: list[str] = field(default_factory=list[str])  # a sentence each
    warnings: list[str] = field(default_factory=list[str])
    seconds: float = 0.0  # of the engine, for the retakes

    def taken(self, utterance: Utterance, speech: Speech, *, part: int) -> Speech:
        """Return the best of this take and, if it has faults, of up to two others, and note that.

        Args:
            part: of the segment, from 0, that the utterance is of.
        """
        found = faults(utterance, speech) if self.judged else []
        if not found:
            return speech
        reasons = ", ".join(fault.reason for fault in found)
        for fault in found:
            RETAKES.labels(fault.reason.name.lower()).inc()
        best, left = self._best(utterance, speech, found)
        self.retakes.append(f"sentence {part + 1} was spoken again: {reasons}")
        if left:
            still = ", ".join(fault.reason for fault in left)
            self.warnings.append(f"sentence {part + 1} may not sound right, and was spoken again in vain: {still}")
        return best

    def _best(self, utterance: Utterance, speech: Speech, found: list[Fault]) -> tuple[Speech, list[Fault]]:
        """Return the take with the least faults, the first of equals, and its faults."""
        best, left = speech, found
        for number in range(1, MOST_RETAKES + 1):
            other = self._again(replace(utterance, seed=seed_of(utterance.seed, number)))
            if not isinstance(other, Speech) or _same(other.waveform, speech.waveform):
                break  # an engine that does not go by the seed says the same for ever
            other = trimmed(other)
            others = faults(utterance, other)
            if _badness(others) < _badness(left):
                best, left = other, others
            if not left:
                break
        return best, left

    def _again(self, utterance: Utterance) -> Result:
        (result,), seconds = each_spoken(self.engine, [utterance])
        self.seconds += seconds
        return result


def judges(engine: Engine | SharedEngine) -> bool:
    """Whether what the engine returns is speech, to be judged as such."""
    return not (isinstance(engine, Hums) and engine.hums)


def seed_of(seed: int, take: int) -> int:
    """Return the seed of another take: always the same, and unlike those of other takes and seeds."""
    return int.from_bytes(hashlib.sha256(f"{seed} {take}".encode()).digest()[:4]) >> 1


def _badness(found: Sequence[Fault]) -> float:
    return sum(fault.excess for fault in found)


def _same(one: Waveform, other: Waveform) -> bool:
    return len(one.samples) == len(other.samples) and bool((one.samples == other.samples).all())

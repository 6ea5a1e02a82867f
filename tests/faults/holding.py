"""The worker's stores and engine with holds in them: everything else is what runs in production."""

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from shared.job_store import RedisJobStore
from shared.jobs import Audio, Change, Job, Lane, Outcome, SpeechRequest, Step, StepState
from shared.object_store import S3ObjectStore
from shared.ports import Decision
from tests.engines import GATE, Gate, ObedientEngine
from tests.faults.holds import Held, Holds, Kind, Moment, kind_of
from worker.engine import EngineOptions, Speech, Utterance

HOLDS, NAME = "EMOTIVOICE_TEST_HOLDS", "EMOTIVOICE_TEST_NAME"
KILLED_AFTER_SECONDS = 1  # its segment's limit; in production a child has longer to listen
SLOWLY_SECONDS = 0.15

_in_hand: list[tuple[str, str]] = []  # job and step that this child works on; it has one at a time


def _pass_through(moment: Moment, kind: Kind) -> None:
    job_id, step = _in_hand[-1]
    held = Held(os.environ[NAME], os.getpid(), job_id, step)
    Holds(Path(os.environ[HOLDS])).at(moment, kind).pass_through(held)


class HoldingJobStore(RedisJobStore):
    """Holds before a step is started, and after it is finished."""

    def load(self, job_id: str, step: str) -> tuple[Job, Step, SpeechRequest] | None:
        _in_hand[:] = [(job_id, step)]
        _pass_through(Moment.BEFORE_START, kind_of(step))
        return super().load(job_id, step)

    def change(
        self,
        job_id: str,
        step: str,
        decide: Decision,
        *,
        audio: Audio | None = None,
        known: tuple[Job, Step] | None = None,
    ) -> Change | None:
        change = super().change(job_id, step, decide, audio=audio, known=known)
        if change and change.outcome is Outcome.APPLIED and change.step.state is StepState.DONE:
            _pass_through(Moment.BEFORE_ACK, kind_of(step))
        return change


class HoldingObjectStore(S3ObjectStore):
    """Holds before a join reads its first segment, and after audio is stored."""

    def put(self, key: str, data: BinaryIO, *, length: int, content_type: str) -> None:
        super().put(key, data, length=length, content_type=content_type)
        joins = os.environ["EMOTIVOICE_LANE"] == Lane.ASSEMBLY
        _pass_through(Moment.BEFORE_FINISH, Kind.JOIN if joins else Kind.SEGMENT)

    def read(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        _pass_through(Moment.JOINING, Kind.JOIN)
        return super().read(key, offset=offset, length=length)


class HoldingEngine(ObedientEngine):
    """Holds before it speaks; obeys the words of `tests.engines`, and "slowly".

    At "deaf" it hangs and does not hear its limit.
    """

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        if _in_hand:  # else it is warming up
            _pass_through(Moment.SPEAKING, Kind.SEGMENT)
        if any("slowly" in utterance.text for utterance in utterances):
            time.sleep(SLOWLY_SECONDS)
        if any(re.search(r"\bdeaf\b", utterance.text) for utterance in utterances):
            heard = signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # by which Celery tells it that its time is over
            Holds(Path(os.environ[HOLDS])).deaf.pass_through()
            signal.signal(signal.SIGUSR1, heard)
        return super().synthesize(utterances)


def engine(_: EngineOptions) -> HoldingEngine:
    """For EMOTIVOICE_ENGINE."""
    Holds(Path(os.environ[HOLDS])).loading.pass_through()
    return HoldingEngine(Gate(Path(os.environ[GATE])))


def install() -> None:
    """Have the worker, which is not imported yet, take these stores for the real ones, and lose less time."""
    import shared.job_store
    import shared.object_store
    import worker.settings

    stores: Any = shared.job_store
    stores.RedisJobStore = HoldingJobStore
    objects: Any = shared.object_store
    objects.S3ObjectStore = HoldingObjectStore
    worker.settings.SHUTDOWN_MARGIN_SECONDS = KILLED_AFTER_SECONDS

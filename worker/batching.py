"""An engine whose concurrent callers share its calls: what several jobs want at one time is spoken in one batch."""

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from shared import tracing
from worker.engine import (
    DeviceLost,
    Engine,
    EngineError,
    Hums,
    Imitates,
    Imitation,
    MeasuresMemory,
    ReferenceClip,
    Speech,
    Utterance,
)
from worker.engine.soundness import require_sound
from worker.metrics import BATCH_SIZE, GPU_MEMORY

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.1  # how long a batch waits for a job that is on its way to the engine


@dataclass(frozen=True)
class Spoken:
    """What an engine returned, and how many of its seconds that took."""

    speeches: Sequence[Speech]
    seconds: float
    batch: int  # utterances in the engine's call, with those of other jobs


def synthesize(engine: "Engine | SharedEngine", utterances: Sequence[Utterance]) -> Spoken:
    """Speak the utterances, and measure that.

    Raises:
        InvalidSpeech: the engine returned nonsense for one of them.
    """
    attributes = {
        "emotivoice.utterances": len(utterances),
        "emotivoice.characters": sum(len(u.text) for u in utterances),
    }
    with tracing.span("synthesize", attributes) as span:  # nothing in the thread of a shared engine: it works for all
        shared = isinstance(engine, SharedEngine)
        spoken = engine.synthesize(utterances) if shared else _synthesize(engine, utterances)
        span.note({"emotivoice.engine_seconds": spoken.seconds, "emotivoice.batch": spoken.batch})
    return spoken


def _synthesize(engine: Engine, utterances: Sequence[Utterance]) -> Spoken:
    started = time.perf_counter()
    speeches = engine.synthesize(utterances)
    seconds = time.perf_counter() - started
    if len(speeches) != len(utterances):
        raise EngineError(f"the engine {engine.name} returned {len(speeches)} of {len(utterances)} utterances")
    for utterance, speech in zip(utterances, speeches, strict=True):
        require_sound(utterance, speech)
    BATCH_SIZE.observe(len(utterances))
    show_memory(engine)
    return Spoken(speeches, seconds, len(utterances))


def show_memory(engine: Engine) -> None:
    """Show what the engine has of its GPU, if it has one."""
    if isinstance(engine, MeasuresMemory):
        for kind, amount in engine.memory().items():
            GPU_MEMORY.labels(kind).set(amount)


class Seat:
    """One job's place at the engine. A batch waits a moment for jobs that have a seat and are not at the engine yet."""

    def __init__(self, engine: "SharedEngine", jobs: int) -> None:
        self.jobs = jobs
        self._engine = engine

    def leave(self) -> None:
        """The job needs the engine no more. Safe to call twice."""
        self._engine.forget(self)

    def __enter__(self) -> "Seat":
        _here.seat = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _here.seat = None
        self.leave()


class _Here(threading.local):
    """The seat of the job that the calling thread works on, and whether somebody waits to hear it."""

    seat: Seat | None = None
    hurries: bool = False


_here = _Here()


def leave_engine() -> None:
    """The job of the calling thread needs the engine no more: nobody need wait for it while its audio is stored."""
    if _here.seat:
        _here.seat.leave()


@contextmanager
def hurrying() -> Generator[None]:
    """What the calling thread has spoken within the block waits for no other job."""
    _here.hurries = True
    try:
        yield
    finally:
        _here.hurries = False


@dataclass(eq=False)
class _Call:
    """What one job wants spoken."""

    utterances: Sequence[Utterance]
    seat: Seat | None
    hurries: bool
    answer: "Future[Spoken]" = field(default_factory=Future["Spoken"])


@dataclass(eq=False)
class _Errand:
    """A clip that the engine is to find out how to speak like."""

    clip: ReferenceClip
    answer: "Future[Imitation]" = field(default_factory=Future[Imitation])


class SharedEngine:
    """Makes every call of an engine in one thread: the engine need not be safe for several, and CUDA likes it so."""

    def __init__(self, engine: Engine) -> None:
        self.batch_size = engine.batch_size
        self.revision = engine.revision
        self.hums = isinstance(engine, Hums) and engine.hums
        self._engine = engine
        self._calls: deque[_Call] = deque()
        self._errands: deque[_Errand] = deque()
        self._coming: set[Seat] = set()
        self._changed = threading.Condition()
        self._warm: Future[None] = Future()
        threading.Thread(target=self._serve, name="engine", daemon=True).start()

    def warm_up(self) -> None:
        """Return when the engine is warm: its thread begins with that, for what CUDA graphs keep is a thread's own."""
        self._warm.result()

    def seat(self, *, jobs: int = 1) -> Seat:
        """Return a place for a job that will come; 0 jobs: for who looks for some. Its thread opens it as a context."""
        seat = Seat(self, jobs)
        with self._changed:
            self._coming.add(seat)
        return seat

    def forget(self, seat: Seat) -> None:
        with self._changed:
            self._coming.discard(seat)
            self._changed.notify_all()

    def hungry(self) -> bool:
        """Whether the next batch has room for another job. The batch that is spoken now does not count."""
        with self._changed:
            return self._waiting() + sum(seat.jobs for seat in self._coming) < self.batch_size

    def synthesize(self, utterances: Sequence[Utterance]) -> Spoken:
        """Speak them in one batch with those of other jobs.

        Raises:
            EngineError: as the engine does for these utterances alone.
        """
        call = _Call(utterances, _here.seat, _here.hurries)
        with self._changed:
            self._calls.append(call)
            if call.seat:
                self._coming.discard(call.seat)
            self._changed.notify_all()
        return call.answer.result()

    def imitate(self, clip: ReferenceClip) -> Imitation:
        """Find, between two batches, how the engine speaks like the clip.

        Raises:
            EngineError: as the engine does.
        """
        errand = _Errand(clip)
        with self._changed:
            self._errands.append(errand)
            self._changed.notify_all()
        return errand.answer.result()

    def _serve(self) -> None:
        try:
            self._engine.warm_up()
        except BaseException as error:  # a thread's edge: who waits for it decides
            self._warm.set_exception(error)
            return
        self._warm.set_result(None)
        while True:
            if errand := self._next_errand():
                self._run(errand)
            else:
                self._answer(self._next_batch())

    def _next_errand(self) -> _Errand | None:
        """Wait until there is something to do; return an errand if there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls or self._errands)
            return self._errands.popleft() if self._errands else None

    def _run(self, errand: _Errand) -> None:
        try:
            if not isinstance(self._engine, Imitates):
                raise EngineError("the engine can't speak like a reference clip")
            errand.answer.set_result(self._engine.imitate(errand.clip))
        except BaseException as error:  # a thread's edge: the job's own thread decides what it means
            _let_go(error)
            errand.answer.set_exception(error)

    def _next_batch(self) -> list[_Call]:
        """Wait a moment for calls that are coming beside the one that is there; return as many as fill a batch."""
        with self._changed:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self._coming and self._waiting() < self.batch_size and not any(call.hurries for call in self._calls):
                if not self._changed.wait(deadline - time.monotonic()):
                    self._coming.clear()  # something keeps them: the next batch does not wait for them again
            batch = [self._calls.popleft()]
            room = self.batch_size - len(batch[0].utterances)
            while self._calls and len(self._calls[0].utterances) <= room:
                batch.append(self._calls.popleft())
                room -= len(batch[-1].utterances)
            return batch

    def _waiting(self) -> int:
        return sum(len(call.utterances) for call in self._calls)

    def _answer(self, batch: Sequence[_Call]) -> None:
        """Speak a batch. One that fails is spoken again in halves, so that in the end only the culprit's job fails."""
        error = self._failure(batch)
        if error is None:
            return
        _let_go(error)
        if len(batch) == 1 or isinstance(error, DeviceLost):
            for call in batch:
                self._stays(call)
                call.answer.set_exception(error)
            return
        log.warning("a batch failed and is spoken again in halves: %s", error, extra={"calls": len(batch)})
        middle = len(batch) // 2
        self._answer(batch[:middle])
        self._answer(batch[middle:])

    def _failure(self, batch: Sequence[_Call]) -> BaseException | None:
        """Speak a batch and answer its calls; return why that failed, if it did."""
        try:
            spoken = synthesize(self._engine, [one for call in batch for one in call.utterances])
            answers = _shares(spoken, [len(call.utterances) for call in batch])
        except BaseException as error:  # a thread's edge: the jobs' own threads decide what it means
            return error
        for call, answer in zip(batch, answers, strict=True):
            self._stays(call)
            call.answer.set_result(answer)
        return None

    def _stays(self, call: _Call) -> None:
        """Until it leaves, the job may come again with its next utterances."""
        if call.seat:
            with self._changed:
                self._coming.add(call.seat)


def _let_go(error: BaseException) -> None:
    """Drop what the failed call has in memory: a traceback keeps the tensors of each of its frames."""
    links, seen = [error], set[int]()
    while links:
        link = links.pop()
        if id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            links += [other for other in (link.__cause__, link.__context__) if other]


def _shares(spoken: Spoken, counts: Sequence[int]) -> list[Spoken]:
    """Return the part of each call, with its share of the engine's time by the length of its speech."""
    rest = deque(spoken.speeches)
    parts = [[rest.popleft() for _ in range(count)] for count in counts]
    lengths = [sum(speech.waveform.seconds for speech in part) for part in parts]
    per_second = spoken.seconds / (sum(lengths) or 1)
    return [Spoken(part, per_second * length, spoken.batch) for part, length in zip(parts, lengths, strict=True)]

"""Workers whose every access to a server waits for its turn, so that a test decides who comes first.

The workers are the real `attempted` and the real Redis store, each in a thread of its own; only one of them runs at any
time, up to its next access. The broker is a list, the object store a dict, the clock a number.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from shared.job_store import RedisJobStore
from shared.jobs import Lane
from shared.lane_reader import Taken
from tests.engines import ObedientEngine
from tests.fakes import InMemoryObjectStore
from worker.ending import Ending, Verdict
from worker.runtime import Runtime
from worker.settings import WorkerSettings
from worker.tasks import attempted

LONGEST_TURN_SECONDS = 20  # of real time: a bound, not a measure
LEASE_SECONDS = 3000.0  # by the test's clock; long enough that no thread renews it by the real one


class Killed(BaseException):
    """The worker is gone: nothing that it would still do happens."""


@dataclass(frozen=True)
class Message:
    """What the broker holds."""

    job_id: str
    step: str
    redelivered: bool = False


@dataclass
class Broker:
    """A queue that loses nothing by itself. Its messages may be taken out of order: there are many lanes."""

    now: Callable[[], float]
    ready: list[Message] = field(default_factory=list[Message])
    _later: list[tuple[float, Message]] = field(default_factory=list[tuple[float, Message]])

    def enqueue(self, job_id: str, step: str, *, lane: Lane, delay_seconds: float = 0) -> None:
        self.ready.append(Message(job_id, step))

    def enqueue_all(self, job_id: str, steps: Sequence[str], *, lane: Lane) -> None:
        self.ready += [Message(job_id, step) for step in steps]

    def enqueue_later(self, message: Message, seconds: float) -> None:
        self._later.append((self.now() + seconds, message))

    def deliver_what_is_due(self) -> None:
        due = [each for each in self._later if each[0] <= self.now()]
        self._later = [each for each in self._later if each not in due]
        self.ready += [message for _, message in due]

    def return_(self, message: Message) -> None:
        """Its worker is gone, as far as the broker knows."""
        self.ready.insert(0, Message(message.job_id, message.step, redelivered=True))

    def ready_messages(self) -> dict[Lane, int]:
        return dict.fromkeys(Lane, len(self.ready))

    def dead_letters(self) -> int:
        return 0


class Turns:
    """Lets one thread run from one access to the next."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = self.ended = False
        self._run = run
        self._thread = threading.Thread(target=self._all, daemon=True)
        self._thread.start()

    def _all(self) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                self._run()
        except Killed:
            pass
        finally:
            self.ended = True
            self._stopped.release()

    def wait(self) -> None:
        """Called by the worker before each access: stop until the test says to go on."""
        if threading.current_thread() is not self._thread:
            return
        if not self._killed:
            self._stopped.release()
            self._go.acquire()
        if self._killed:
            raise Killed

    def next(self) -> None:
        """Let the worker run to its next access, or to its end."""
        if not self.ended:
            self._go.release()
            assert self._stopped.acquire(timeout=LONGEST_TURN_SECONDS), "the worker does not come to its next access"

    def kill(self) -> None:
        """End the worker where it stands."""
        self._killed = True
        self._go.release()
        self._thread.join(LONGEST_TURN_SECONDS)


class Gated:
    """A server's client that waits for its turn before each call."""

    def __init__(self, client: Any, wait: Callable[[], None]) -> None:
        self._client, self._wait = client, wait

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return partial(self._called, found) if callable(found) else found

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._called(self._client, *arguments, **options)

    def _called(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self._wait()
        return call(*arguments, **options)


class Worker:
    """One child process with a message in hand."""

    def __init__(self, message: Message, url: str, objects: InMemoryObjectStore, broker: Broker) -> None:
        self.message = message
        self.ending: Ending | None = None
        self.abandoned = False  # the broker takes it for dead, and has handed the message out again
        self._turns = Turns(self._attempt)
        store: Any = RedisJobStore(url)
        for name in ("_redis", "_commit", "_claim", "_drop_claim", "_forget"):
            setattr(store, name, Gated(getattr(store, name), self._turns.wait))
        settings = WorkerSettings(lease_seconds=LEASE_SECONDS)
        gated_objects: Any = Gated(objects, self._turns.wait)
        gated_broker: Any = Gated(broker, self._turns.wait)
        self._runtime = Runtime(settings, store, gated_objects, gated_broker, ObedientEngine())

    @property
    def ended(self) -> bool:
        return self._turns.ended

    def next(self) -> None:
        self._turns.next()

    def kill(self) -> None:
        self._turns.kill()

    def _attempt(self) -> None:
        message = self.message
        self.ending = attempted(Taken(message.job_id, message.step, message.redelivered), here=self._runtime)


def settle(worker: Worker, broker: Broker) -> None:
    """Do with the message of a worker that has come to an end what Celery's edge does."""
    assert worker.ending, "the attempt raised"
    if worker.abandoned or worker.ending.verdict in (Verdict.ACKNOWLEDGE, Verdict.DEAD_LETTER):
        return
    if worker.ending.verdict is Verdict.HAND_BACK:
        broker.return_(worker.message)
    else:
        broker.enqueue_later(Message(worker.message.job_id, worker.message.step), worker.ending.retry_seconds)

"""Read a lane's queue message by message, on a connection of one's own; each is settled by whoever took it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from celery import Celery

from shared import tracing
from shared.jobs import Lane
from shared.queue import PLAN_TASK, QUEUES, SPEAK_TASK, failures

log = logging.getLogger(__name__)

T = TypeVar("T")

HEARTBEAT_SECONDS = 30
IDLE_SECONDS = 60.0  # RabbitMQ drops a connection after about this long without a sign of life


class LaneUnreachable(Exception):
    """The connection was lost. What was taken on it and not settled goes back to the queue."""


@dataclass(frozen=True)
class Taken:
    """A message: which step it asks for, and whether a worker had it before."""

    job_id: str
    step: str
    redelivered: bool
    tag: int = 0  # the broker's number for it, on the connection that it was taken on
    trace: str = ""  # its traceparent


class LaneReader:
    """Takes messages when asked to, so that it holds none that nobody works on. For one thread at a time."""

    def __init__(self, app: Celery, lane: Lane) -> None:
        self._app = app
        self._lane = lane
        self._failures = failures(app)
        self._connection: Any = None
        self._queue: Any = None
        self._used_at = 0.0

    def take(self) -> Taken | None:
        """Take the next message if there is one.

        Raises:
            LaneUnreachable: the broker is away.
        """
        message: Any
        while (message := self._do(lambda: self._opened().get(accept=["json"]))) is not None:
            try:
                job_id, step = _asked(message)
            except Exception as error:  # whatever it is, it is not ours; Celery's consumer would not take it either
                log.critical("a message can't be understood and goes to the dead-letter queue: %s", error)
                self.dead_letter(message.delivery_tag)
                continue
            redelivered, trace = bool(message.delivery_info["redelivered"]), message.headers.get(tracing.HEADER, "")
            return Taken(job_id, step, redelivered, message.delivery_tag, trace)
        return None

    def acknowledge(self, tag: int) -> None:
        self._do(lambda: self._queue.channel.basic_ack(tag))

    def dead_letter(self, tag: int) -> None:
        self._do(lambda: self._queue.channel.basic_reject(tag, requeue=False))

    def hand_back(self, tag: int) -> None:
        """Any worker may have it, at once."""
        self._do(lambda: self._queue.channel.basic_reject(tag, requeue=True))

    def keep_alive(self) -> None:
        """Give the broker a sign of life if none went out lately."""
        if self._connection is not None and time.monotonic() - self._used_at > HEARTBEAT_SECONDS / 3:
            self._do(self._connection.connection.send_heartbeat)

    def close(self) -> None:
        """Drop the connection; what was not settled goes back to the queue."""
        connection, self._connection, self._queue = self._connection, None, None
        if connection is not None:
            connection.collect()  # without a word to the broker, which may be what does not answer

    def _opened(self) -> Any:
        """Return the queue, on a connection that the broker has not dropped as idle."""
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._connection is None:
            self._connection = self._app.connection_for_read(heartbeat=HEARTBEAT_SECONDS)
            self._connection.transport_options = {"connect_timeout": 3, "read_timeout": 5, "write_timeout": 5}
            self._queue = QUEUES[self._lane].bind(self._connection.channel())
        return self._queue

    def _connected(self) -> bool:
        return self._connection is not None and bool(self._connection.connected)

    def _do(self, call: Callable[[], T]) -> T:
        try:
            answer = call()
        except (*self._failures, AttributeError) as error:
            if isinstance(error, AttributeError) and self._connected():
                raise  # a fault of ours; without a connection it is how pyamqp says that it is lost
            self.close()
            raise LaneUnreachable(f"{type(error).__name__}: {error}") from error
        self._used_at = time.monotonic()
        return answer


def _asked(message: Any) -> tuple[str, str]:
    task = message.headers.get("task")
    if task not in (SPEAK_TASK, PLAN_TASK):
        raise ValueError(f"{task!r} is no task of this lane")
    (job_id, step), _, _ = message.decode()
    return str(job_id), str(step)

"""The dead-letter queue for a person: look at its messages, enqueue their steps again, or let them go.

A message that is looked at is taken and not acknowledged, so it goes back to its place when the connection closes,
whatever ends it. While one looks, nobody else sees what has been taken.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from shared.errors import JobNotFound
from shared.jobs import JobState
from shared.ports import AsyncJobStore, JobQueue
from shared.queue import DEAD_QUEUE, JOIN_TASK, PLAN_TASK, SPEAK_TASK, is_rabbitmq, task_name
from shared.topology import TopologyError, connected

OUR_TASKS = (SPEAK_TASK, PLAN_TASK, JOIN_TASK)
NAME = re.compile(r"[\w.:-]{1,100}")  # else a foreign message could choose a name that no terminal should show
PUT_BACK_SECONDS = 2.0


class NoDeadLetterQueue(TopologyError):
    """There is nothing to look into."""


class NotRequeued(Exception):
    """The dead letter stays where it is; the sentence says why."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that nobody could deal with. What is not ours may hold anything, in its headers and its body."""

    name: str  # job and step; of a foreign message a hash. Several of one name are told apart: name~2, name~3
    job_id: str  # empty: not a message of ours, `problem` says why
    step: str
    problem: str
    queue: str  # that it came from
    reason: str  # the broker's: rejected, delivery_limit, expired or maxlen
    died_at: datetime | None
    headers: dict[str, object]
    body: bytes
    tag: int  # the broker's number for it, on this connection


class DeadLetters:
    """The queue, as long as the connection is open."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._names: Counter[str] = Counter()
        self._held = 0
        self.count = self._ready()

    def __iter__(self) -> Iterator[DeadLetter]:
        """Take the messages, from the oldest to the one that was the latest when the connection was opened."""
        for _ in range(self.count):
            message = self._channel.basic_get(DEAD_QUEUE.name)
            if message is None:
                return
            self._held += 1
            name = _name(message)
            self._names[name] += 1
            yield _letter(message, name if self._names[name] == 1 else f"{name}~{self._names[name]}")

    def acknowledge(self, letter: DeadLetter) -> None:
        """Let the message go, for good."""
        self._channel.basic_ack(letter.tag)
        self._held -= 1

    def put_back(self) -> None:
        """Have what was taken in its place again, for the next command to find; the broker is a moment late with it."""
        expected, deadline = self._ready() + self._held, time.monotonic() + PUT_BACK_SECONDS
        self._channel.basic_recover(requeue=True)
        while self._ready() < expected and time.monotonic() < deadline:
            time.sleep(0.01)

    def _ready(self) -> int:
        return self._channel.queue_declare(DEAD_QUEUE.name, passive=True).message_count


@contextmanager
def opened(broker_url: str) -> Generator[DeadLetters]:
    """Within the context, the queue is there to be looked into.

    Raises:
        NoDeadLetterQueue: there is none.
        TopologyError: the broker refuses.
        BrokerUnreachable: it does not answer, or no longer.
    """
    if not is_rabbitmq(broker_url):
        raise NoDeadLetterQueue(
            "messages travel through Redis here, which has no dead-letter queue: only RabbitMQ has one. "
            "A job that failed says so itself: emotivoice jobs --state failed"
        )
    with connected(broker_url) as connection:
        channel = connection.channel()
        channel.auto_decode = False  # a body is bytes, whatever its sender says of it
        try:
            letters = DeadLetters(channel)
        except connection.channel_errors as error:
            raise NoDeadLetterQueue(f"{error}; `emotivoice init` declares the queue {DEAD_QUEUE.name}") from error
        yield letters
        letters.put_back()


async def requeue(letter: DeadLetter, *, jobs: AsyncJobStore, queue: JobQueue) -> list[str]:
    """Enqueue the steps that the letter's job needs, as new messages; one that has failed is opened again before.

    Returns:
        the steps. The letter is for the caller to acknowledge: a crash before that makes a duplicate, which is
        harmless.

    Raises:
        NotRequeued: it is no message of ours, or its job needs nothing any more.
        QueueUnavailable: not all of them were confirmed. The job is open again, and the sweeper enqueues what lacks.
        StoreUnavailable: the job's record can't be reached.
    """
    if letter.problem:
        raise NotRequeued(f"it can't be enqueued: {letter.problem}")
    view = await jobs.view(letter.job_id)
    if view is None:
        raise NotRequeued(f"{JobNotFound(letter.job_id)}")
    job = view.job
    if letter.step not in job.steps():
        raise NotRequeued(f"its job has no step {letter.step}, but {', '.join(job.steps())}")
    if job.finished and job.state is not JobState.FAILED:
        raise NotRequeued(f"its job is {job.state}; there is nothing to do for it")
    again = await jobs.reopen(job.id) if job.finished else None
    steps = again.steps if again else [letter.step]
    for step in steps:
        queue.enqueue(job.id, step, lane=job.lane_of(step))
    return steps


def _letter(message: Any, name: str) -> DeadLetter:
    headers: dict[str, object] = message.properties.get("application_headers", {})
    job_id, step, problem = _asked(headers, message.body)
    death = _latest_death(headers)
    died_at = death.get("time")
    return DeadLetter(
        name=name,
        job_id=job_id,
        step=step,
        problem=problem,
        queue=str(death.get("queue", message.delivery_info["routing_key"])),
        reason=str(death.get("reason", "unknown")),
        died_at=died_at.replace(tzinfo=UTC) if isinstance(died_at, datetime) else None,
        headers=headers,
        body=message.body,
        tag=message.delivery_info["delivery_tag"],
    )


def _name(message: Any) -> str:
    """Return its task id, or a name made of its body."""
    headers: dict[str, object] = message.properties.get("application_headers", {})
    name = headers.get("id")
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    return f"foreign-{hashlib.sha256(message.body).hexdigest()[:8]}"


def _latest_death(headers: dict[str, object]) -> dict[str, object]:
    """Return the newest entry of the broker's diary: a message that was delayed has others, of the delays."""
    diary = headers.get("x-death")
    newest = cast(list[object], diary)[:1] if isinstance(diary, list) else []
    return cast(dict[str, object], newest[0]) if newest and isinstance(newest[0], dict) else {}


def _asked(headers: dict[str, object], body: bytes) -> tuple[str, str, str]:
    """Return job and step, or why the message is not one of ours."""
    task = headers.get("task")
    if task not in OUR_TASKS:
        return "", "", f"{str(task)[:100]!r} is none of our tasks" if task else "it names no task"
    try:
        (job_id, step), *_ = json.loads(body)
    except (ValueError, TypeError, RecursionError) as error:
        return "", "", f"its body is not a job and a step ({error})"
    if not isinstance(job_id, str) or not isinstance(step, str) or task_name(step) != task:
        return "", "", "its body is not a job and a step of that task"
    return job_id, step, ""

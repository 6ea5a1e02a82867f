"""Publish what many requests bring at once, and wait once for all confirms: the gateway's way to RabbitMQ.

A confirm costs a round trip and a write to disk. Publishing one by one from a pool of threads pays it for each message
and makes the threads fight for the interpreter; one thread that takes whatever has arrived pays it once for all.
"""

import asyncio
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from celery import Celery
from kombu import Connection
from kombu.utils.json import dumps

from shared.errors import QueueUnavailable

log = logging.getLogger(__name__)

LARGEST_BATCH = 64
CONFIRM_SECONDS = 3.0
PATIENCE_SECONDS = 6.0  # of a request, with those before it
REFUSED = "refused"  # by a queue that is full


@dataclass(frozen=True)
class Letter:
    """A message, where it goes, and who waits for its confirm."""

    message: Any  # celery.app.amqp.task_message
    routing_key: str
    loop: asyncio.AbstractEventLoop
    confirmed: asyncio.Future[None]

    @property
    def task_id(self) -> str:
        return self.message.properties["correlation_id"]


class BatchPublisher:
    """Sends letters from one thread over one connection, which it opens anew when it breaks."""

    def __init__(self, app: Celery, *, exchange: str) -> None:
        self._app = app
        self._exchange = exchange
        self._inbox: SimpleQueue[Letter] = SimpleQueue()
        self._connection: Connection | None = None
        self._channel: Any = None
        self._published = 0  # on this channel: the delivery tag of the latest letter
        self._unconfirmed: dict[int, Letter] = {}
        self._confirmed: set[str] = set()  # task ids of this batch that the broker has answered for
        self._failed: dict[str, str] = {}  # task id -> why
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    async def publish(self, message: Any, *, routing_key: str) -> None:
        """Return once the broker has confirmed the message.

        Raises:
            QueueUnavailable: it has not, or no queue takes the message. It may still arrive later.
        """
        loop = asyncio.get_running_loop()
        letter = Letter(message, routing_key, loop, loop.create_future())
        self._inbox.put(letter)
        self._ensure_thread()
        try:
            await asyncio.wait_for(letter.confirmed, PATIENCE_SECONDS)
        except TimeoutError as error:  # it is dropped if it is still in the inbox
            raise QueueUnavailable(f"no confirm within {PATIENCE_SECONDS:g} s") from error

    def _ensure_thread(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [letter for letter in self._take() if not letter.confirmed.done()]
            try:
                self._send(batch)
            except Exception:  # the thread's edge: without it every later request would wait for ever
                log.exception("publishing failed")
                self._give_up(batch, "internal error")
            self._tell(batch)

    def _tell(self, batch: list[Letter]) -> None:
        """Wake all who wait, in one call into each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Letter, str]]] = {}
        for letter in batch:
            by_loop.setdefault(letter.loop, []).append((letter, self._failed.pop(letter.task_id, "")))
        for loop, endings in by_loop.items():
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                loop.call_soon_threadsafe(_settle, endings)

    def _take(self) -> list[Letter]:
        batch = [self._inbox.get()]
        try:
            while len(batch) < LARGEST_BATCH:
                batch.append(self._inbox.get_nowait())
        except Empty:
            pass
        return batch

    def _send(self, batch: list[Letter]) -> None:
        """Publish the letters; if the connection has died since the last batch, once more on a new one."""
        was_open = self._channel is not None
        reason = self._attempt(batch)
        left = self._unsent(batch)
        if reason and was_open and reason != "TimeoutError":
            self._disconnect()
            reason = self._attempt(left)
            left = self._unsent(left)
        if reason:
            self._give_up(left, reason)
        elif REFUSED in self._failed.values():
            # A channel that a full queue has refused stays refused, should the queue lose its bound (RabbitMQ 3.10).
            self._disconnect()

    def _attempt(self, letters: list[Letter]) -> str:
        try:
            self._publish(letters)
        except self._failures() as error:
            return type(error).__name__
        return ""

    def _unsent(self, letters: list[Letter]) -> list[Letter]:
        """Return the letters that are not confirmed."""
        return [letter for letter in letters if letter.task_id not in self._confirmed]

    def _give_up(self, letters: list[Letter], reason: str) -> None:
        self._disconnect()
        self._failed.update(dict.fromkeys((letter.task_id for letter in letters), reason))

    def _publish(self, letters: list[Letter]) -> None:
        self._confirmed.clear()
        channel = self._channel or self._connect()
        for letter in letters:
            self._published += 1
            self._unconfirmed[self._published] = letter
            message = channel.prepare_message(
                dumps(letter.message.body),
                content_type="application/json",
                content_encoding="utf-8",
                headers=letter.message.headers,
                properties={**letter.message.properties, "delivery_mode": 2},
            )
            # mandatory: without it a missing queue swallows the message, with a confirm
            channel.basic_publish(message, exchange=self._exchange, routing_key=letter.routing_key, mandatory=True)
        while self._unconfirmed:
            channel.connection.drain_events(timeout=CONFIRM_SECONDS)

    def _connect(self) -> Any:
        connection = self._app.connection_for_write()
        connection.connect()
        channel: Any = connection.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(partial(self._confirm, ""))
        channel.events["basic_nack"].add(partial(self._confirm, REFUSED))
        channel.events["basic_return"].add(self._returned)
        self._connection, self._channel = connection, channel
        return channel

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.collect()
        self._connection = self._channel = None
        self._published = 0
        self._unconfirmed = {}

    def _confirm(self, reason: str, tag: int, multiple: bool) -> None:
        tags = [known for known in self._unconfirmed if known <= tag] if multiple else [tag]
        for known in tags:
            task_id = self._unconfirmed.pop(known).task_id
            self._confirmed.add(task_id)
            if reason:
                self._failed[task_id] = reason

    def _returned(self, _error: Exception, _exchange: str, routing_key: str, message: Any) -> None:
        self._failed[message.properties["correlation_id"]] = f"no queue {routing_key}"

    def _failures(self) -> tuple[type[BaseException], ...]:
        transport = self._app.connection_for_write()
        return (OSError, *transport.connection_errors, *transport.channel_errors)


def _settle(endings: list[tuple[Letter, str]]) -> None:
    for letter, reason in endings:
        if letter.confirmed.done():  # its request was cancelled
            continue
        if reason:
            letter.confirmed.set_exception(QueueUnavailable(reason))
        else:
            letter.confirmed.set_result(None)

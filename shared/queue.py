"""The lanes on RabbitMQ, and the Celery app that both sides send through. Celery over Redis works too, less safely."""

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

from celery import Celery
from celery.exceptions import OperationalError
from kombu import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.transport.native_delayed_delivery import calculate_routing_key

from shared import tracing
from shared.errors import QueueUnavailable
from shared.jobs import JOIN, PLAN, Lane
from shared.publisher import BatchPublisher

log = logging.getLogger(__name__)

EXCHANGE = Exchange("tts", type="topic", durable=True)  # topic: on a direct one a delayed retry holds the only slot
DEAD_EXCHANGE = Exchange("tts.dlx", type="topic", durable=True)
# To look at a dead letter is to take it and hand it back, which counts as a delivery, and RabbitMQ 4 allows 20.
DEAD_ARGUMENTS = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
DEAD_QUEUE = Queue("tts.dead", DEAD_EXCHANGE, routing_key="#", queue_arguments=DEAD_ARGUMENTS)
QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 20,  # the backstop: our own count of attempts ends a job long before
    "x-dead-letter-exchange": DEAD_EXCHANGE.name,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}

# In seconds. All three, or a publish hangs for ever while the broker is short of memory.
TIMEOUTS = {"read_timeout": 3, "write_timeout": 3, "connect_timeout": 3}

DELAYED = "celery_delayed_27"  # the first of the exchanges that Celery declares for delayed messages

SPEAK_TASK, PLAN_TASK, JOIN_TASK = "tts.speak", "tts.plan", "tts.join"
WEBHOOK_TASK = "tts.webhook"


def queue_name(lane: Lane) -> str:
    return f"tts.{lane}"


QUEUES = {
    lane: Queue(queue_name(lane), EXCHANGE, routing_key=queue_name(lane), queue_arguments=QUEUE_ARGUMENTS)
    for lane in Lane
}


def make_app(broker_url: str) -> Celery:
    """Return the Celery app with the settings that sender and worker share (docs/decisions/0001)."""
    app = Celery("emotivoice", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=list(QUEUES.values()),
        task_default_queue=queue_name(Lane.INTERACTIVE),
        task_default_exchange=EXCHANGE.name,
        task_default_exchange_type="topic",
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_create_missing_queues=False,
        broker_transport_options=_transport_options(broker_url),
        broker_heartbeat=30,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_enable_remote_control=False,
    )
    return app


def is_rabbitmq(broker_url: str) -> bool:
    """Whether messages travel through RabbitMQ; else it is Redis, by Celery's own transport."""
    return broker_url.startswith("amqp")


def _transport_options(broker_url: str) -> dict[str, object]:
    if is_rabbitmq(broker_url):
        return {"confirm_publish": True}
    return {"visibility_timeout": 300}  # Redis hands the work of a lost worker out again after about this many seconds


def task_name(step: str) -> str:
    return {PLAN: PLAN_TASK, JOIN: JOIN_TASK}.get(step, SPEAK_TASK)


class CeleryJobQueue:
    """Sends a step of a job to the lane of its workers. The message is two names; the record has the rest."""

    def __init__(self, app: Celery, **publish_options: Any) -> None:
        self._app = app
        self._options = publish_options

    def enqueue(self, job_id: str, step: str, *, lane: Lane, delay_seconds: float = 0) -> None:
        with tracing.publishing(queue_name(lane), task_id(job_id, step)) as span:
            self._publish(_message(self._app, job_id, step, trace=span.traceparent), lane, delay_seconds)

    def deliver(self, name: str) -> None:
        """Have a webhook's delivery tried, by the assembly workers.

        Raises:
            QueueUnavailable: the broker did not confirm the message.
        """
        message: Any = self._app.amqp.as_task_v2(f"webhook:{name}", WEBHOOK_TASK, args=(name,))
        self._publish(message, Lane.ASSEMBLY, 0)

    def _publish(self, message: Any, lane: Lane, delay_seconds: float) -> None:
        # What app.send_task does, in half of its time: no routing, no signals, no events.
        exchange, routing_key = EXCHANGE.name, queue_name(lane)
        if delay_seconds:
            exchange, routing_key = DELAYED, calculate_routing_key(math.ceil(delay_seconds), routing_key)
        try:
            with self._app.producer_or_acquire() as producer:
                producer.publish(
                    message.body,
                    exchange=exchange,
                    routing_key=routing_key,
                    headers=message.headers,
                    serializer="json",
                    mandatory=True,  # without it a missing queue swallows the message, with a confirm
                    **message.properties,
                    **self._options,
                )
        except failures(self._app) as error:
            raise QueueUnavailable(type(error).__name__) from error


class GatewayQueue:
    """The gateway's end: gives up within seconds, for a client is waiting, and a later delivery does no harm."""

    def __init__(self, broker_url: str) -> None:
        self._app = make_app(broker_url)
        self._batches: BatchPublisher | None = None
        if is_rabbitmq(broker_url):
            self._app.conf.broker_transport_options = TIMEOUTS
            self._batches = BatchPublisher(self._app, exchange=EXCHANGE.name)
        self._one_by_one = CeleryJobQueue(self._app, retry=False)

    async def enqueue(self, job_id: str, step: str, *, lane: Lane) -> None:
        if self._batches:
            with tracing.publishing(queue_name(lane), task_id(job_id, step)) as span:
                message = _message(self._app, job_id, step, trace=span.traceparent)
                await self._batches.publish(message, routing_key=queue_name(lane))
        else:  # Redis has no confirms to wait for
            await asyncio.to_thread(self._one_by_one.enqueue, job_id, step, lane=lane)

    async def ping(self) -> None:
        await asyncio.to_thread(self._ping)

    def _ping(self) -> None:
        try:
            connection: Any
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=3)
                if self._batches:  # an empty list does not exist in Redis
                    connection.default_channel.queue_declare(queue=queue_name(Lane.INTERACTIVE), passive=True)
        except failures(self._app) as error:
            raise QueueUnavailable(type(error).__name__) from error


class SweeperQueue(CeleryJobQueue):
    """The sweeper's end, and an operator's. It tells what waits, and gives up soon: what fails comes again."""

    def __init__(self, broker_url: str) -> None:
        self._amqp = is_rabbitmq(broker_url)
        app = make_app(broker_url)
        if self._amqp:
            app.conf.broker_transport_options = {"confirm_publish": True, **TIMEOUTS}
        once_more = {"max_retries": 1, "interval_start": 0}  # a connection from a round before may be dead
        super().__init__(app, retry=True, retry_policy=once_more)

    def ready_messages(self) -> dict[Lane, int]:
        """Return how many messages of each lane no worker has taken yet.

        Raises:
            QueueUnavailable: the broker is away, or has no such queue.
        """
        return dict(zip(Lane, self._lengths(queue_name(lane) for lane in Lane), strict=True))

    def dead_letters(self) -> int:
        """Return how many messages are in the dead-letter queue, which only RabbitMQ has."""
        return self._lengths([DEAD_QUEUE.name])[0] if self._amqp else 0

    def _lengths(self, names: Iterable[str]) -> list[int]:
        try:
            connection: Any
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=3)
                return [self._length(connection.default_channel, name) for name in names]
        except failures(self._app) as error:
            raise QueueUnavailable(type(error).__name__) from error

    def _length(self, channel: Any, name: str) -> int:
        if self._amqp:
            return channel.queue_declare(queue=name, passive=True).message_count
        return channel.client.llen(name)  # an empty list does not exist in Redis


def task_id(job_id: str, step: str) -> str:
    return f"{job_id}:{step}"


def _message(app: Celery, job_id: str, step: str, *, trace: str) -> Any:
    message: Any = app.amqp.as_task_v2(task_id(job_id, step), task_name(step), args=(job_id, step))
    if trace:
        message.headers[tracing.HEADER] = trace
    return message


def failures(app: Celery) -> tuple[type[BaseException], ...]:
    """Return what may come of a broker that is away or refuses."""
    transport = app.connection_for_write()
    errors = transport.channel_errors + transport.connection_errors
    return (OperationalError, KombuError, OSError, *errors, *transport.recoverable_connection_errors)  # "full" is there


class WorkerQueue(CeleryJobQueue):
    """The workers' end. It waits out a restart of the broker: the work in hand is worth more."""

    def __init__(self, app: Celery) -> None:
        policy = {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2}
        super().__init__(app, retry=True, retry_policy=policy)
        self._batches = BatchPublisher(app, exchange=EXCHANGE.name)

    def enqueue_all(self, job_id: str, steps: Sequence[str], *, lane: Lane) -> None:
        """Wait once for the confirms of all; if the broker is away, one by one until it is back. Twice does no harm."""
        if len(steps) > 1 and is_rabbitmq(str(self._app.conf.broker_url)):
            try:
                return asyncio.run(self._at_once(job_id, steps, lane))
            except QueueUnavailable as error:
                log.warning("the broker does not take the steps at once: %s", error)
        for step in steps:
            self.enqueue(job_id, step, lane=lane)
        return None

    async def _at_once(self, job_id: str, steps: Sequence[str], lane: Lane) -> None:
        with tracing.publishing(queue_name(lane), task_id(job_id, steps[0])) as span:
            messages = [_message(self._app, job_id, step, trace=span.traceparent) for step in steps]
            await asyncio.gather(*(self._batches.publish(one, routing_key=queue_name(lane)) for one in messages))


def worker_queue(app: Celery) -> WorkerQueue:
    return WorkerQueue(app)

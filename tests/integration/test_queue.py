"""The queue, on a real RabbitMQ."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import kombu
import pytest

from cli.stack.probes import free_ports
from shared.errors import QueueUnavailable
from shared.jobs import Lane
from shared.queue import QUEUES, CeleryJobQueue, GatewayQueue, make_app, queue_name, worker_queue
from shared.settings import SharedSettings
from shared.topology import declare
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

Enqueue = Callable[[str, str, Lane], None]


@pytest.fixture
def url(settings: SharedSettings) -> str:
    url = settings.broker_url.get_secret_value()
    declare(url)
    return url


@pytest.fixture
def channel(url: str) -> Iterator[Any]:
    """A channel of our own, on empty lanes."""
    connection: Any
    with kombu.Connection(url) as connection:
        for lane in Lane:
            connection.default_channel.queue_purge(queue_name(lane))
        yield connection.default_channel


def from_the_gateway(url: str) -> Enqueue:
    return lambda job_id, step, lane: asyncio.run(GatewayQueue(url).enqueue(job_id, step, lane=lane))


def from_a_worker(url: str) -> Enqueue:
    return lambda job_id, step, lane: worker_queue(make_app(url)).enqueue(job_id, step, lane=lane)


SENDERS = pytest.mark.parametrize("sender", [from_the_gateway, from_a_worker])


def taken(channel: Any, lane: Lane) -> Any:
    """Take one message from the lane and acknowledge it."""
    message: Any = QUEUES[lane](channel).get()
    assert message is not None
    message.ack()
    return message


@SENDERS
@pytest.mark.parametrize(
    ("step", "lane", "task"),
    [
        ("0", Lane.INTERACTIVE, "tts.speak"),
        ("7", Lane.BULK, "tts.speak"),
        ("plan", Lane.ASSEMBLY, "tts.plan"),
        ("join", Lane.ASSEMBLY, "tts.join"),
    ],
)
def test_a_confirmed_message_is_in_its_lane(
    url: str, channel: Any, sender: Callable[[str], Enqueue], step: str, lane: Lane, task: str
) -> None:
    sender(url)("job-1", step, lane)

    message = taken(channel, lane)
    assert message.headers["task"] == task
    assert message.payload[0] == ["job-1", step]
    assert message.properties["delivery_mode"] == 2


def test_many_requests_at_once_are_each_confirmed(url: str, channel: Any) -> None:
    queue = GatewayQueue(url)

    async def enqueue_all() -> None:
        await asyncio.gather(*(queue.enqueue(f"job-{n}", "0", lane=Lane.BULK) for n in range(200)))

    asyncio.run(enqueue_all())

    jobs = {taken(channel, Lane.BULK).payload[0][0] for _ in range(200)}
    assert jobs == {f"job-{n}" for n in range(200)}


@SENDERS
def test_a_missing_queue_is_not_taken_for_a_confirm(url: str, channel: Any, sender: Callable[[str], Enqueue]) -> None:
    channel.queue_delete(queue_name(Lane.BULK))

    try:
        with pytest.raises(QueueUnavailable):
            sender(url)("job-1", "0", Lane.BULK)
    finally:
        declare(url)


def test_after_a_missing_queue_the_next_message_is_taken(url: str, channel: Any) -> None:
    queue = GatewayQueue(url)
    channel.queue_delete(queue_name(Lane.BULK))
    with pytest.raises(QueueUnavailable):
        asyncio.run(queue.enqueue("job-1", "0", lane=Lane.BULK))
    declare(url)

    asyncio.run(queue.enqueue("job-2", "0", lane=Lane.BULK))

    assert taken(channel, Lane.BULK).payload[0] == ["job-2", "0"]


def test_a_broker_that_is_away_is_told_soon() -> None:
    (port,) = free_ports(1)
    queue = GatewayQueue(f"amqp://guest:guest@127.0.0.1:{port}//")

    with pytest.raises(QueueUnavailable):
        asyncio.run(queue.enqueue("job-1", "0", lane=Lane.BULK))
    with pytest.raises(QueueUnavailable):
        asyncio.run(queue.ping())


def test_a_broker_that_does_not_answer_is_told_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = GatewayQueue(f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}//")
        started = time.monotonic()

        with pytest.raises(QueueUnavailable):
            asyncio.run(queue.enqueue("job-1", "0", lane=Lane.BULK))

    assert time.monotonic() - started < 10


def test_a_worker_that_may_not_wait_is_told_too() -> None:
    (port,) = free_ports(1)
    queue = CeleryJobQueue(make_app(f"amqp://guest:guest@127.0.0.1:{port}//"), retry=False)

    with pytest.raises(QueueUnavailable):
        queue.enqueue("job-1", "0", lane=Lane.BULK)


def test_what_a_worker_rejects_is_kept(url: str, channel: Any) -> None:
    channel.queue_purge("tts.dead")
    from_a_worker(url)("job-1", "0", Lane.BULK)
    message: Any = QUEUES[Lane.BULK](channel).get()
    message.reject(requeue=False)

    dead: Any = wait_for(lambda: channel.basic_get("tts.dead", no_ack=True))
    assert json.loads(dead.body)[0] == ["job-1", "0"]


def test_many_steps_at_once_are_in_the_lane_in_their_order(url: str, channel: Any) -> None:
    steps = [str(number) for number in range(150)]

    worker_queue(make_app(url)).enqueue_all("job-1", steps, lane=Lane.BULK)

    assert [taken(channel, Lane.BULK).properties["correlation_id"] for _ in steps] == [f"job-1:{n}" for n in steps]


def test_steps_at_once_that_no_queue_takes_are_refused(url: str, channel: Any) -> None:
    queue = worker_queue(make_app(url))
    channel.queue_delete(queue_name(Lane.STANDIN))
    try:
        with pytest.raises(QueueUnavailable):
            queue.enqueue_all("job-1", ["0", "1"], lane=Lane.STANDIN)
    finally:
        declare(url)

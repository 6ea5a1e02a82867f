"""Messages that a child takes itself, on a real RabbitMQ: each is one of the lane's until it is settled."""

from collections.abc import Iterator
from typing import Any

import kombu
import pytest

from cli.stack.probes import free_ports
from shared.jobs import Lane
from shared.lane_reader import LaneReader, LaneUnreachable, Taken
from shared.queue import DEAD_QUEUE, EXCHANGE, QUEUES, make_app, queue_name, worker_queue
from shared.settings import SharedSettings
from shared.topology import declare
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

LANE = Lane.BULK


@pytest.fixture
def url(settings: SharedSettings) -> str:
    url = settings.broker_url.get_secret_value()
    declare(url)
    return url


@pytest.fixture
def channel(url: str) -> Iterator[Any]:
    """A channel of our own, on an empty lane."""
    connection: Any
    with kombu.Connection(url) as connection:
        connection.default_channel.queue_purge(queue_name(LANE))
        connection.default_channel.queue_purge(DEAD_QUEUE.name)
        yield connection.default_channel


@pytest.fixture
def reader(url: str, channel: Any) -> Iterator[LaneReader]:
    reader = LaneReader(make_app(url), LANE)
    yield reader
    reader.close()


def put(url: str, *jobs: str) -> None:
    queue = worker_queue(make_app(url))
    for job in jobs:
        queue.enqueue(job, "0", lane=LANE)


def ready(channel: Any, queue: str = queue_name(LANE)) -> int:
    return channel.queue_declare(queue=queue, passive=True).message_count


def arrived(reader: LaneReader) -> Taken:
    taken = wait_for(reader.take)
    assert taken
    return taken


def test_an_empty_lane_gives_nothing(reader: LaneReader) -> None:
    assert reader.take() is None


def test_what_is_acknowledged_is_gone(reader: LaneReader, url: str, channel: Any) -> None:
    put(url, "one", "two")

    taken = [arrived(reader), arrived(reader)]
    assert [(one.job_id, one.step, one.redelivered) for one in taken] == [("one", "0", False), ("two", "0", False)]
    reader.acknowledge(taken[1].tag)
    reader.close()

    again = arrived(reader)
    assert (again.job_id, again.redelivered) == ("one", True)  # it was not settled, so it came back
    reader.acknowledge(again.tag)
    assert reader.take() is None


def test_what_is_handed_back_comes_again(reader: LaneReader, url: str) -> None:
    put(url, "one")
    reader.hand_back(arrived(reader).tag)

    again = arrived(reader)
    assert again.redelivered
    reader.acknowledge(again.tag)  # else it might come back while the next test is at work


def test_what_is_dead_goes_to_the_dead_letter_queue(reader: LaneReader, url: str, channel: Any) -> None:
    put(url, "one")
    reader.dead_letter(arrived(reader).tag)

    wait_for(lambda: ready(channel, DEAD_QUEUE.name) == 1)
    assert reader.take() is None


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{broken", {"task": "tts.speak"}),
        (b"[[1, 2, 3], {}, {}]", {"task": "tts.speak"}),
        (b'[["one", "join"], {}, {}]', {"task": "tts.join"}),
        (b"[]", {}),
    ],
)
def test_what_is_nothing_of_ours_goes_there_too(
    reader: LaneReader, url: str, channel: Any, body: bytes, headers: dict[str, str]
) -> None:
    message = channel.prepare_message(body, content_type="application/json", content_encoding="utf-8", headers=headers)
    channel.basic_publish(message, exchange=EXCHANGE.name, routing_key=QUEUES[LANE].routing_key)
    wait_for(lambda: ready(channel) == 1)  # two connections: the other message might overtake it
    put(url, "one")

    taken = arrived(reader)
    reader.acknowledge(taken.tag)
    assert taken.job_id == "one"
    wait_for(lambda: ready(channel, DEAD_QUEUE.name) == 1)


def test_a_sign_of_life_goes_out_when_nothing_else_did(reader: LaneReader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.take()
    monkeypatch.setattr("shared.lane_reader.HEARTBEAT_SECONDS", 0)

    reader.keep_alive()

    assert reader.take() is None


def test_a_connection_that_was_idle_for_long_is_opened_anew(
    reader: LaneReader, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.take()
    monkeypatch.setattr("shared.lane_reader.IDLE_SECONDS", 0)
    put(url, "one")

    taken = arrived(reader)
    assert taken.job_id == "one"
    monkeypatch.undo()
    reader.acknowledge(taken.tag)


def test_a_broker_that_is_away_is_told() -> None:
    (port,) = free_ports(1)
    reader = LaneReader(make_app(f"amqp://guest:guest@127.0.0.1:{port}//"), LANE)

    with pytest.raises(LaneUnreachable):
        reader.take()
    with pytest.raises(LaneUnreachable):
        reader.acknowledge(1)

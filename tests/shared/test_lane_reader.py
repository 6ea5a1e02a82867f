"""Reading a lane without a broker: what is not ours, and what is no lost connection."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from shared.jobs import Lane
from shared.lane_reader import LaneReader, LaneUnreachable, Taken
from shared.queue import SPEAK_TASK, make_app


class Broker:
    """A connection and its channel. `connected` is what the client's library would say of it."""

    def __init__(self) -> None:
        self.messages: deque[Any] = deque()
        self.rejected: list[int] = []
        self.connected = True
        self.fault: Exception | None = None

    def put(self, tag: int, *, task: str = SPEAK_TASK) -> None:
        info = {"redelivered": False}
        body: Any = ((f"job-{tag}", "0"), {}, {})
        message = SimpleNamespace(headers={"task": task}, delivery_tag=tag, delivery_info=info, decode=lambda: body)
        message.errors = ()
        self.messages.append(message)

    def channel(self) -> "Broker":
        return self

    def collect(self) -> None:
        self.connected = False

    def basic_get(self, **_: Any) -> Any:
        if self.fault:
            raise self.fault
        return self.messages.popleft() if self.messages else None

    def basic_reject(self, tag: int, *, requeue: bool) -> None:
        assert not requeue
        self.rejected.append(tag)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def reader(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> LaneReader:
    app = make_app("amqp://nobody.invalid//")

    def connection(**_: Any) -> Broker:
        return broker

    monkeypatch.setattr(app, "connection_for_read", connection)
    return LaneReader(app, Lane.BULK)


def test_however_many_are_not_ours_the_next_that_is_comes(reader: LaneReader, broker: Broker) -> None:
    for tag in range(1, 3001):
        broker.put(tag, task="somebody.elses")
    broker.put(3001)

    assert reader.take() == Taken("job-3001", "0", redelivered=False, tag=3001)
    assert broker.rejected == [*range(1, 3001)]
    assert reader.take() is None


def test_a_lost_connection_that_shows_as_a_missing_attribute(reader: LaneReader, broker: Broker) -> None:
    assert reader.take() is None
    broker.connected, broker.fault = False, AttributeError("'NoneType' object has no attribute 'read_frame'")

    with pytest.raises(LaneUnreachable):
        reader.take()
    with pytest.raises(LaneUnreachable):  # there is no connection now
        reader.acknowledge(1)


def test_a_fault_of_ours_is_no_lost_connection(reader: LaneReader, broker: Broker) -> None:
    broker.fault = AttributeError("'Broker' object has no attribute 'basic_gte'")

    with pytest.raises(AttributeError, match="basic_gte"):
        reader.take()

"""Messages that a child takes besides Celery's: each is settled by its own ending, and only then."""

import threading
from collections import deque

import pytest

from shared.lane_reader import LaneUnreachable, Taken
from tests.engines import ObedientEngine
from tests.waiting import wait_for
from worker.batching import SharedEngine
from worker.companions import Companions, Terms
from worker.ending import Verdict


class FakeReader:
    """A lane in memory. `away` makes every call fail."""

    def __init__(self) -> None:
        self.messages: deque[Taken] = deque()
        self.settled: list[tuple[str, int]] = []
        self.away = False
        self.fault: Exception | None = None
        self.closed = False

    def take(self) -> Taken | None:
        self._reach()
        if self.fault:
            raise self.fault
        return self.messages.popleft() if self.messages else None

    def acknowledge(self, tag: int) -> None:
        self._settle("acknowledged", tag)

    def dead_letter(self, tag: int) -> None:
        self._settle("dead", tag)

    def hand_back(self, tag: int) -> None:
        self._settle("handed back", tag)

    def keep_alive(self) -> None:
        self._reach()

    def close(self) -> None:
        self.closed = True

    def _settle(self, how: str, tag: int) -> None:
        self._reach()
        self.settled.append((how, tag))

    def _reach(self) -> None:
        if self.away:
            raise LaneUnreachable("switched off by the test")


class Lane:
    """A lane with messages, and a child that takes them while the test works on the first."""

    def __init__(self, *, batch_size: int = 8) -> None:
        self.reader = FakeReader()
        self.draining = False
        self.begun: list[int] = []
        self.verdicts: dict[int, Verdict | BaseException] = {}
        self.gate = threading.Event()
        self.gate.set()
        engine = SharedEngine(ObedientEngine(batch_size=batch_size))
        self.companions = Companions(self.reader, engine, Terms(0.02, lambda: self.draining))

    def put(self, *tags: int, redelivered: bool = False) -> None:
        self.reader.messages.extend(Taken(f"job-{tag}", "0", redelivered, tag) for tag in tags)

    def work(self, taken: Taken) -> Verdict:
        self.begun.append(taken.tag)
        self.gate.wait(10)
        verdict = self.verdicts.get(taken.tag, Verdict.ACKNOWLEDGE)
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_what_waits_is_worked_on_beside_the_first(lane: Lane) -> None:
    lane.put(1, 2, 3)

    with lane.companions.beside(lane.work):
        wait_for(lambda: len(lane.begun) == 3)

    assert sorted(lane.reader.settled) == [("acknowledged", 1), ("acknowledged", 2), ("acknowledged", 3)]


def test_nothing_is_acknowledged_before_its_own_end(lane: Lane) -> None:
    lane.put(1, 2)
    lane.gate.clear()
    first = threading.Event()

    def child() -> None:
        with lane.companions.beside(lane.work):
            first.set()

    thread = threading.Thread(target=child)
    thread.start()
    first.wait(10)
    wait_for(lambda: lane.companions.in_hand == 2)
    assert lane.reader.settled == []
    assert thread.is_alive()  # the first waits for its company

    lane.gate.set()
    thread.join(10)
    assert len(lane.reader.settled) == 2


@pytest.mark.parametrize(
    ("verdict", "settled"),
    [
        (Verdict.DEAD_LETTER, "dead"),
        (Verdict.HAND_BACK, "handed back"),
        (RuntimeError("a fault that nobody thought of"), "dead"),
        (SystemExit(3), "dead"),
    ],
)
def test_each_is_settled_by_its_own_ending(lane: Lane, verdict: Verdict | BaseException, settled: str) -> None:
    lane.put(1, 2)
    lane.verdicts[1] = verdict

    with lane.companions.beside(lane.work):
        wait_for(lambda: len(lane.begun) == 2)

    assert sorted(lane.reader.settled) == sorted([(settled, 1), ("acknowledged", 2)])


def test_no_more_are_taken_than_the_next_batch_has_room_for() -> None:
    lane = Lane(batch_size=4)
    lane.put(*range(20))
    lane.gate.clear()  # they are on their way to the engine

    with lane.companions.beside(lane.work):
        wait_for(lambda: len(lane.begun) == 3)  # the fourth is the first itself
        assert len(lane.reader.messages) == 17
        lane.gate.set()


def test_more_are_taken_while_there_is_work_and_time(lane: Lane) -> None:
    lane.put(*range(50))

    with lane.companions.beside(lane.work):
        wait_for(lambda: len(lane.begun) == 50)

    assert len(lane.reader.settled) == 50


def test_a_draining_worker_takes_none(lane: Lane) -> None:
    lane.put(1)
    lane.draining = True

    with lane.companions.beside(lane.work):
        pass

    assert (lane.begun, len(lane.reader.messages)) == ([], 1)


def test_what_was_handed_out_before_is_worked_on_alone_when_the_others_have_ended(lane: Lane) -> None:
    lane.put(1)
    lane.put(2, redelivered=True)
    lane.put(3)
    lane.gate.clear()

    with lane.companions.beside(lane.work):
        wait_for(lambda: lane.begun)
        assert lane.begun == [1]
        lane.gate.set()

    assert lane.reader.settled == [("acknowledged", 1), ("acknowledged", 2)]
    assert [message.tag for message in lane.reader.messages] == [3]  # for the next gathering


def test_a_lost_connection_ends_the_gathering_and_settles_nothing(lane: Lane) -> None:
    lane.put(1, 2)
    lane.gate.clear()

    with lane.companions.beside(lane.work):
        wait_for(lambda: len(lane.begun) == 2)
        lane.reader.away = True
        lane.gate.set()

    assert lane.reader.settled == []
    lane.reader.away = False
    lane.put(3)
    with lane.companions.beside(lane.work):
        wait_for(lambda: 3 in lane.begun)
    assert lane.reader.settled == [("acknowledged", 3)]


def test_a_fault_of_ours_gives_everything_back_and_waits_for_those_in_hand(lane: Lane) -> None:
    lane.put(1)
    lane.gate.clear()

    with lane.companions.beside(lane.work):
        wait_for(lambda: lane.begun)
        lane.reader.fault = RuntimeError("a fault that nobody thought of")
        wait_for(lambda: lane.reader.closed)
        lane.gate.set()

    assert lane.companions.in_hand == 0
    assert lane.reader.settled == []


def test_a_failure_of_the_first_still_waits_for_the_others(lane: Lane) -> None:
    lane.put(1)

    with pytest.raises(ValueError, match="the first"), lane.companions.beside(lane.work):  # noqa: PT012
        wait_for(lambda: lane.begun)
        raise ValueError("the first")

    assert lane.reader.settled == [("acknowledged", 1)]

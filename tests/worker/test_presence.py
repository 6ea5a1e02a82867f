"""What a child tells of its worker: that it takes messages, and whether it has one in hand."""

from collections.abc import Iterator

import pytest

from shared.jobs import Lane
from tests.fakes import InMemoryJobStore
from tests.worker.test_lease import JOB, OURS, REQUEST
from worker import presence as module
from worker.lease import Lease, Leases
from worker.presence import Presence
from worker.ready_marks import ReadyMarks


@pytest.fixture
def ready() -> Iterator[ReadyMarks]:
    marks = ReadyMarks()
    yield marks
    marks.remove()


def test_a_worker_is_there_while_it_takes_messages(ready: ReadyMarks) -> None:
    jobs = InMemoryJobStore()
    presence = Presence(jobs, Lane.BULK, ready, Leases())

    presence.look()
    assert jobs.warm == {}

    ready.consume(True)
    presence.look()
    assert [*jobs.warm.values()] == [(Lane.BULK, False)]

    ready.consume(False)
    presence.look()
    assert jobs.warm == {}


def test_what_it_has_in_hand_is_told_with_the_next_news(ready: ReadyMarks, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, leases = InMemoryJobStore(), Leases()
    jobs.add(JOB, REQUEST)
    presence = Presence(jobs, Lane.BULK, ready, leases)
    ready.consume(True)
    presence.look()

    with Lease(jobs, JOB, OURS, seconds=30, among=leases):
        presence.look()
        assert [*jobs.warm.values()] == [(Lane.BULK, False)]  # not each message is worth a call

        monkeypatch.setattr(module, "TELL_SECONDS", 0.0)
        presence.look()
        assert [*jobs.warm.values()] == [(Lane.BULK, True)]

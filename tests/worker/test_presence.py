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


@pytest.fixture(autouse=True)
def at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_SECONDS", 0.0)


def test_a_worker_is_there_while_it_takes_messages(ready: ReadyMarks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_SECONDS", 60.0)
    jobs = InMemoryJobStore()
    presence = Presence(jobs, Lane.BULK, ready, Leases())

    presence.look()
    assert jobs.warm == {}

    ready.consume(True)
    presence.look()
    assert [*jobs.warm.values()] == [Lane.BULK]

    ready.consume(False)
    presence.look()
    assert jobs.warm == {}


def test_who_drains_takes_no_messages_and_is_busy_until_it_has_nothing_in_hand(ready: ReadyMarks) -> None:
    jobs, leases = InMemoryJobStore(), Leases()
    jobs.add(JOB, REQUEST)
    presence = Presence(jobs, Lane.BULK, ready, leases)
    ready.consume(True)

    with Lease(jobs, JOB, OURS, seconds=30, among=leases):
        presence.look()
        assert (len(jobs.warm), len(jobs.busy)) == (1, 1)
        ready.consume(False)
        presence.look()
        assert (len(jobs.warm), len(jobs.busy)) == (0, 1)

    presence.look()
    assert (jobs.warm, jobs.busy) == ({}, set())


def test_not_each_message_is_worth_a_call(ready: ReadyMarks, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, leases = InMemoryJobStore(), Leases()
    jobs.add(JOB, REQUEST)
    presence = Presence(jobs, Lane.BULK, ready, leases)
    ready.consume(True)
    presence.look()
    monkeypatch.setattr(module, "TELL_SECONDS", 60.0)

    with Lease(jobs, JOB, OURS, seconds=30, among=leases):
        presence.look()

    assert jobs.busy == set()

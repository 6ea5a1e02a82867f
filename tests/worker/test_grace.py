"""The seconds between SIGTERM and SIGKILL: work first, then handing back, and the end before the supervisor's."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.errors import StoreUnavailable
from shared.jobs import StepState
from tests.fakes import InMemoryJobStore
from tests.waiting import wait_for
from tests.worker.test_lease import JOB, OURS, REQUEST, AwayStore
from worker.grace import HANDED_BACK, Countdown, Grace, StuckWork
from worker.lease import Lease, Leases
from worker.ready_marks import ReadyMarks
from worker.settings import WorkerSettings

GRACE = Grace(0.2)


@pytest.fixture
def ready() -> Iterator[ReadyMarks]:
    marks = ReadyMarks()
    yield marks
    marks.remove()


@pytest.mark.parametrize("seconds", [1, 6, 20, 630])
def test_each_part_of_the_grace_period_comes_before_the_next(seconds: float) -> None:
    grace = Grace(seconds)

    assert 0 < grace.last < grace.handing_back - grace.patience < grace.handing_back <= seconds / 2


def test_by_default_any_segment_can_be_finished() -> None:
    settings = WorkerSettings()

    assert settings.grace.seconds - settings.grace.handing_back > settings.segment_limit_seconds


def test_first_the_children_are_told_and_then_the_worker_ends(ready: ReadyMarks) -> None:
    ended: list[tuple[int, bool]] = []
    countdown = Countdown(ready, GRACE, end=lambda code: ended.append((code, ready.handing_back())))

    countdown.begin()

    assert not ready.handing_back()
    wait_for(ready.handing_back)
    assert ended == []
    assert wait_for(lambda: ended) == [(HANDED_BACK, True)]


def test_a_second_sigterm_gives_no_more_time_and_takes_none(ready: ReadyMarks) -> None:
    ended: list[int] = []
    countdown = Countdown(ready, GRACE, end=ended.append)

    countdown.begin()
    countdown.begin()
    wait_for(lambda: ended)
    time.sleep(GRACE.seconds)

    assert ended == [HANDED_BACK]


class Child:
    """A child with one step in hand."""

    def __init__(self, jobs: InMemoryJobStore) -> None:
        self.jobs = jobs
        self.told = False
        self.ended: list[int] = []
        self.leases = Leases(lambda: self.told)
        jobs.add(JOB, REQUEST)
        jobs.steps["j"]["0"] = replace(OURS, lease_expires_at=time.time() + 30)
        StuckWork(self.leases, GRACE, end=self.ended.append).start()

    def work(self) -> Lease:
        return Lease(self.jobs, JOB, OURS, seconds=30, among=self.leases)


def test_what_is_stuck_is_put_back_and_the_child_ends() -> None:
    child = Child(InMemoryJobStore())

    with child.work():
        child.told = True
        wait_for(lambda: child.ended)

    assert child.ended == [HANDED_BACK]
    assert (child.jobs.steps["j"]["0"].state, child.jobs.steps["j"]["0"].deaths) == (StepState.WAITING, 0)


def test_a_child_that_is_not_told_works_on() -> None:
    child = Child(InMemoryJobStore())

    with child.work():
        time.sleep(2 * GRACE.seconds)

    assert child.ended == []
    assert child.jobs.steps["j"]["0"].state is StepState.RUNNING


def test_a_child_with_nothing_in_hand_is_left_to_its_main_process() -> None:
    child = Child(InMemoryJobStore())

    child.told = True
    time.sleep(2 * GRACE.seconds)

    assert child.ended == []


def test_a_child_ends_even_if_it_cannot_put_back() -> None:
    child = Child(AwayStore())

    with child.work():
        child.told = True
        wait_for(lambda: child.ended)

    with pytest.raises(StoreUnavailable):
        child.work().put_back()

"""A worker's hold on a step: kept while it works, and lost when nobody wants the result."""

import time
from dataclasses import replace

import pytest

from shared.errors import StoreUnavailable
from shared.jobs import Change, Job, Lane, Outcome, SpeechRequest, Step, StepState
from shared.ports import Decision
from tests.fakes import InMemoryJobStore
from tests.waiting import wait_for
from worker.lease import Lease, Leases, MustStop, StepLost

REQUEST = SpeechRequest("Hello", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)
JOB = Job("j", Lane.INTERACTIVE, 5, created_at=0.0)
OURS = Step("0", StepState.RUNNING, attempts=1, token="ours")


@pytest.fixture
def jobs() -> InMemoryJobStore:
    """A job whose only step the worker with the token `ours` holds."""
    jobs = InMemoryJobStore()
    jobs.add(JOB, REQUEST)
    jobs.steps["j"]["0"] = replace(OURS, lease_expires_at=time.time() + 0.2)
    return jobs


def lease(jobs: InMemoryJobStore, *, token: str = "ours", seconds: float = 30) -> Lease:
    return Lease(jobs, JOB, replace(OURS, token=token), seconds=seconds)


def test_a_check_keeps_the_step_for_longer(jobs: InMemoryJobStore) -> None:
    lease(jobs).check()

    assert jobs.steps["j"]["0"].lease_expires_at == pytest.approx(time.time() + 30, abs=1)


def test_the_step_is_kept_without_any_check_while_the_worker_speaks(jobs: InMemoryJobStore) -> None:
    before = jobs.steps["j"]["0"].lease_expires_at

    with lease(jobs, seconds=0.2):
        wait_for(lambda: jobs.steps["j"]["0"].lease_expires_at > before + 0.1)


def test_the_renewing_ends_with_the_work(jobs: InMemoryJobStore) -> None:
    with lease(jobs, seconds=0.04):
        pass
    time.sleep(0.02)
    after = jobs.steps["j"]["0"]
    time.sleep(0.05)

    assert jobs.steps["j"]["0"] == after


def test_a_cancelled_job_ends_the_lease(jobs: InMemoryJobStore) -> None:
    jobs.jobs["j"] = jobs.jobs["j"].cancelled(now=1.0)

    with pytest.raises(StepLost) as lost:
        lease(jobs).check()
    assert lost.value.outcome is Outcome.JOB_FINISHED


def test_a_check_is_left_out_that_comes_soon_after_another(jobs: InMemoryJobStore) -> None:
    held = lease(jobs)
    held.check(every=60)
    jobs.jobs["j"] = jobs.jobs["j"].cancelled(now=1.0)

    held.check(every=60)
    with pytest.raises(StepLost):
        held.check()


def test_a_step_that_another_worker_took_over_is_lost(jobs: InMemoryJobStore) -> None:
    with pytest.raises(StepLost) as lost:
        lease(jobs, token="an earlier one").check()
    assert lost.value.outcome is Outcome.FENCED


def test_a_removed_job_ends_the_lease(jobs: InMemoryJobStore) -> None:
    jobs.jobs.clear()

    with pytest.raises(StepLost) as lost:
        lease(jobs).check()
    assert lost.value.outcome is Outcome.MISSING


class AwayStore(InMemoryJobStore):
    """A job store that does not answer, and counts how often it was asked."""

    asked = 0

    def change(self, job_id: str, step: str, decide: Decision, **_: object) -> Change | None:
        self.asked += 1
        raise StoreUnavailable


def test_a_store_that_is_away_ends_neither_the_work_nor_the_renewing() -> None:
    away = AwayStore()

    with lease(away, seconds=0.02):
        wait_for(lambda: away.asked >= 3)


def test_something_else_is_kept_with_the_step(jobs: InMemoryJobStore) -> None:
    renewed: list[float] = []

    with lease(jobs, seconds=0.04) as held:
        held.keep(lambda: renewed.append(time.time()))
        wait_for(lambda: len(renewed) >= 2)
    time.sleep(0.02)
    after = len(renewed)
    time.sleep(0.05)

    assert len(renewed) == after


def test_what_is_kept_outlives_an_outage(jobs: InMemoryJobStore) -> None:
    asked: list[float] = []

    def away() -> None:
        asked.append(time.time())
        raise StoreUnavailable

    with lease(jobs, seconds=0.02) as held:
        held.keep(away)
        wait_for(lambda: len(asked) >= 3)


def test_a_worker_that_must_stop_learns_it_at_its_next_check(jobs: InMemoryJobStore) -> None:
    held = Lease(jobs, JOB, OURS, seconds=30, among=Leases(lambda: True))

    with pytest.raises(MustStop):
        held.check()


def test_a_step_that_is_put_back_waits_again_unharmed(jobs: InMemoryJobStore) -> None:
    assert lease(jobs).put_back() is Outcome.APPLIED

    step = jobs.steps["j"]["0"]
    assert (step.state, step.attempts, step.deaths) == (StepState.WAITING, 1, 0)


def test_a_step_that_is_not_ours_is_not_put_back(jobs: InMemoryJobStore) -> None:
    assert lease(jobs, token="an earlier one").put_back() is Outcome.FENCED

    assert jobs.steps["j"]["0"].state is StepState.RUNNING


def test_all_that_is_in_hand_is_put_back_together(jobs: InMemoryJobStore) -> None:
    leases = Leases()
    ended = Lease(jobs, JOB, replace(OURS, name="1"), seconds=30, among=leases)
    jobs.steps["j"] |= {name: replace(OURS, name=name) for name in ("1", "2")}
    with (
        Lease(jobs, JOB, OURS, seconds=30, among=leases),
        Lease(jobs, JOB, replace(OURS, name="2"), seconds=30, among=leases),
    ):
        with ended:
            pass
        leases.put_back()

    states = {name: step.state for name, step in jobs.steps["j"].items()}
    assert states == {"0": StepState.WAITING, "1": StepState.RUNNING, "2": StepState.WAITING}

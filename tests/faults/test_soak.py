"""A short soak, and that a soak would notice what goes wrong."""

from dataclasses import replace
from itertools import islice

import pytest

from shared.jobs import Failure, Job, JobState, Lane
from tests.faults.clients import REMOVED, Sent
from tests.faults.orders import Order, OrderKind, orders, strikes
from tests.faults.rig import Rig
from tests.faults.soak import soaked
from tests.faults.tally import Fulfilled, Tally, longest_stall

SEED = 127  # its first ten faults have every victim and every kind
JOB = Job("job", Lane.INTERACTIVE, 1, 100.0, state=JobState.SUCCEEDED, finished_at=101.0)


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_nothing_is_lost_in_a_soak(rig: Rig) -> None:
    tally = soaked(rig, seed=SEED, jobs=225, seconds=45)

    assert not tally.violations, tally.table()
    assert tally.submitted == 225
    assert tally.faults.total() > 3


def test_the_seed_decides_what_comes() -> None:
    assert orders(1, jobs=50, seconds=10) == orders(1, jobs=50, seconds=10)
    assert orders(1, jobs=50, seconds=10) != orders(2, jobs=50, seconds=10)
    assert list(islice(strikes(1), 50)) == list(islice(strikes(1), 50))
    assert list(islice(strikes(1), 50)) != list(islice(strikes(2), 50))


def test_the_short_soak_has_jobs_of_every_kind_and_twins_in_pairs() -> None:
    drawn = orders(SEED, jobs=225, seconds=45)

    assert {order.kind for order in drawn} == set(OrderKind)
    twins = [order for order in drawn if order.kind is OrderKind.TWIN]
    assert [order.text for order in twins[::2]] == [order.text for order in twins[1::2]]
    assert len({order.text for order in drawn}) == len(drawn) - len(twins) // 2


def counted(*jobs: Job, repeated_as: str = "", cancelled: str = "", right: bool = True) -> Tally:
    """Return the tally of one accepted job, where these are the records."""
    sent = Sent("job", "A text.", False, 100.0)
    repeated = replace(sent, job_id=repeated_as) if repeated_as else None
    order = Order(0, OrderKind.PLAIN, "A text.", 0.0, 0.0)

    def check(_: Sent) -> None:
        assert right, "the audio is not what its text gives"

    tally = Tally()
    tally.count([Fulfilled(order, sent, repeated, cancelled)], {job.id: job for job in jobs}, check)
    return tally


def test_a_job_that_succeeded_is_no_violation() -> None:
    tally = counted(JOB, repeated_as="job")

    assert (tally.submitted, tally.ends[JobState.SUCCEEDED], tally.violations) == (1, 1, [])


@pytest.mark.parametrize("told", [JobState.CANCELLED, REMOVED])
def test_a_cancelled_job_is_no_violation(told: str) -> None:
    records = [replace(JOB, state=JobState.CANCELLED)] if told == JobState.CANCELLED else []

    tally = counted(*records, cancelled=told)

    assert (tally.ends[told], tally.violations) == (1, [])


def test_a_job_without_a_record_is_lost() -> None:
    assert counted(replace(JOB, id="another")).lost == 1


def test_a_job_without_an_end_is_lost() -> None:
    assert counted(replace(JOB, state=JobState.RUNNING, finished_at=None)).lost == 1


def test_wrong_audio_is_a_violation() -> None:
    tally = counted(JOB, right=False)

    assert (tally.wrong_audio, len(tally.violations)) == (1, 1)


def test_a_failure_is_a_violation_with_its_reason() -> None:
    tally = counted(replace(JOB, state=JobState.FAILED, failure=Failure("worker_lost", "three times")))

    assert (tally.failures["worker_lost"], len(tally.violations)) == (1, 1)


def test_a_second_job_for_the_same_idempotency_key_is_a_duplicate() -> None:
    assert counted(JOB, repeated_as="another").duplicated == 1


def test_a_job_that_nobody_knows_of_is_a_duplicate_unless_it_was_refused() -> None:
    refused = replace(JOB, id="refused", state=JobState.FAILED, failure=Failure("queue_unavailable", "away"))

    tally = counted(JOB, refused, replace(JOB, id="unknown"))

    assert (tally.refused, tally.duplicated, len(tally.violations)) == (1, 1, 1)


def test_a_job_that_ended_otherwise_than_its_client_was_told_is_a_duplicate() -> None:
    assert counted(JOB, cancelled=JobState.CANCELLED).duplicated == 1


def test_the_table_shows_the_violations() -> None:
    tally = counted(replace(JOB, state=JobState.FAILED, failure=Failure("worker_lost", "three times")))

    assert "| failed, with reason | 1 (worker_lost: 1) |" in tally.table()
    assert "job job: it has not succeeded" in tally.table()


def test_a_stall_is_the_longest_time_without_an_end_while_jobs_are_open() -> None:
    early = replace(JOB, created_at=100.0, finished_at=101.0)
    late = replace(JOB, created_at=200.0, finished_at=203.0)
    beside = replace(JOB, created_at=200.5, finished_at=207.0)
    refused = replace(JOB, state=JobState.FAILED, created_at=204.0, finished_at=204.0)

    assert longest_stall([beside, early, refused, late]) == 4.0

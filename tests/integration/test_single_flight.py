"""The same text at the same time is spoken once, by real workers; and if the one that speaks it dies, by another."""

import pytest

from shared.jobs import Lane
from tests.api import Json, metric
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

SHORT_LEASE = {"EMOTIVOICE_LEASE_SECONDS": "2"}
WAITED = 'emotivoice_steps_total{outcome="spoken_elsewhere",step="segment"}'


def spoken_alone(jobs: list[Json]) -> list[Json]:
    """Return the jobs that cost engine time."""
    return [job for job in jobs if job["usage"]["engine_seconds"] > 0]


def test_equal_jobs_at_one_time_cost_the_engine_once(fleet: RunningFleet) -> None:
    other = fleet.new_worker(Lane.INTERACTIVE)
    other.process.start()
    usual = fleet.worker_url(Lane.INTERACTIVE)
    before = metric(usual, WAITED)
    fleet.gate.close()
    jobs = [fleet.api.submit("Wait, all of us want the same.") for _ in range(4)]
    wait_for(lambda: metric(other.url, WAITED) + metric(usual, WAITED) > before)

    fleet.gate.open()

    ended = [fleet.api.finished(job) for job in jobs]
    assert [job["state"] for job in ended] == ["succeeded"] * 4
    assert len(spoken_alone(ended)) == 1
    assert {job["attempts"] for job in ended} == {1}
    assert len({job["result"]["sha256"] for job in ended}) == 1


def test_a_job_that_waits_for_a_worker_that_died_is_spoken(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        first, second = (fleet.new_worker(Lane.INTERACTIVE, **SHORT_LEASE) for _ in range(2))
        first.process.start()
        fleet.gate.close()
        held = fleet.api.submit("Wait, I shall not live to say it.")
        fleet.api.running(held)
        second.process.start()
        waits = fleet.api.submit("Wait, I shall not live to say it.")
        wait_for(lambda: metric(second.url, WAITED))
        fleet.api.http.delete(f"/v1/jobs/{held}")  # nobody takes the dead worker's step over

        first.process.kill()
        fleet.gate.open()

        assert fleet.api.finished(waits)["state"] == "succeeded"

"""A child that has outgrown its memory is replaced between two messages, and nothing is lost by it."""

import pytest

from shared.jobs import Lane
from tests.api import children, metric
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

RECYCLED = "emotivoice_children_recycled_total"


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("Please grow.", {"EMOTIVOICE_MEMORY_LIMIT_GIB": "0.5"}),
        ("Please reserve it.", {"EMOTIVOICE_GPU_MEMORY_LIMIT_GIB": "1"}),
    ],
)
def test_a_child_that_outgrew_its_limit_is_replaced(fleet: RunningFleet, text: str, settings: dict[str, str]) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        worker = fleet.new_worker(Lane.INTERACTIVE, **settings)
        worker.process.start()
        (first,) = children(worker.process.pid)
        ids = [fleet.api.submit(f"{text} And a sentence for number {number}, please.") for number in range(3)]

        jobs = [fleet.api.finished(job_id) for job_id in ids]
        wait_for(lambda: first not in children(worker.process.pid))
        wait_for(worker.process.ready)
        after = fleet.api.spoken("The new child speaks.")

        assert [(job["state"], job["attempts"]) for job in [*jobs, after]] == [("succeeded", 1)] * 4
        assert metric(worker.url, RECYCLED) >= 1
        worker.process.stop()


def test_a_worker_tells_its_memory(fleet: RunningFleet) -> None:
    url = fleet.worker_url(Lane.INTERACTIVE)
    fleet.api.spoken("Tell me how large you are.")

    assert metric(url, 'emotivoice_gpu_memory_bytes{kind="total"}') == 16 << 30
    wait_for(lambda: metric(url, "emotivoice_child_memory_bytes") > 20 << 20)

"""A worker that is told to stop loses nothing, however little time it gets and however often it is told."""

import os
import signal
import time
import uuid

import httpx
import pytest

from shared.jobs import Lane
from tests.api import children
from tests.integration.conftest import RunningFleet, Worker
from tests.integration.test_batching import ENGINE, TOGETHER, batching, in_hand, waiting
from tests.integration.test_delivery import busy, is_right
from tests.integration.test_outages import stopped
from tests.waiting import wait_for
from worker.grace import HANDED_BACK

pytestmark = pytest.mark.integration

SHORT = {"EMOTIVOICE_GRACE_SECONDS": "12"}  # 6 s to finish; then 2.4 s to come to the end of an utterance
LOADS_AT_THE_GATE = {"EMOTIVOICE_ENGINE": "tests.engines:obedient_after_the_gate"}


def unheard(text: str) -> str:
    """The text as nobody has spoken it yet."""
    return f"{text} {uuid.uuid4().hex}."


def ended_well(fleet: RunningFleet, job_id: str) -> bool:
    """Whether the job succeeds, and none of its attempts was counted but the last."""
    job = fleet.api.finished(job_id)
    return (job["state"], job["attempts"]) == ("succeeded", 1) and is_right(fleet, job)


def test_what_cannot_be_finished_is_handed_back_between_two_utterances(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving = fleet.new_worker(Lane.INTERACTIVE, **SHORT)
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait for a while. And then there is more to say,"))
        wait_for(lambda: busy(leaving.url))

        leaving.process.terminate()
        wait_for(lambda: "handed back" in leaving.process.log_tail(20))  # the mark is made
        fleet.gate.open()
        wait_for(lambda: not leaving.process.running)

        assert leaving.process.exit_code == 0
        assert "handed back: the worker must stop" in leaving.process.log_tail(20)
        heir = fleet.new_worker()
        heir.process.start()
        assert ended_well(fleet, job_id)
        heir.process.stop()


@pytest.mark.parametrize("again", [0, 3])
def test_a_child_that_is_stuck_in_an_utterance_hands_back_and_ends(fleet: RunningFleet, again: int) -> None:
    """However often the worker is told to stop, it has no more time and loses nothing."""
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving, heir = fleet.new_worker(Lane.INTERACTIVE, **SHORT), fleet.new_worker()
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait here for ever,"))
        wait_for(lambda: busy(leaving.url))

        leaving.process.terminate()
        for _ in range(again):
            time.sleep(0.3)
            leaving.process.terminate()
        wait_for(lambda: not leaving.process.running)

        assert leaving.process.exit_code == 0  # it did not come to the worst, HANDED_BACK
        assert fleet.api.job(job_id)["state"] == "running"
        heir.process.start()
        fleet.gate.open()
        assert ended_well(fleet, job_id)
        heir.process.stop()


def test_handing_back_many_times_never_gives_a_job_up(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait for the fifth worker,"))
        for _ in range(4):
            leaving = fleet.new_worker(EMOTIVOICE_GRACE_SECONDS="4")
            leaving.process.start()
            wait_for(lambda leaving=leaving: busy(leaving.url))
            leaving.process.terminate()
            wait_for(lambda leaving=leaving: not leaving.process.running)
        fleet.gate.open()
    assert ended_well(fleet, job_id)


def test_a_batch_that_cannot_be_finished_is_handed_back_whole(fleet: RunningFleet) -> None:
    fleet.gate.close()
    with batching(fleet, [waiting(number) for number in range(TOGETHER)], **SHORT) as (worker, ids):
        wait_for(lambda: in_hand(worker) == TOGETHER)
        worker.process.terminate()
        wait_for(lambda: not worker.process.running)
        assert worker.process.exit_code == 0

        heir = fleet.new_worker(EMOTIVOICE_ENGINE=ENGINE)
        heir.process.start()
        fleet.gate.open()
        assert [ended_well(fleet, job_id) for job_id in ids] == [True] * TOGETHER
        heir.process.stop()


def test_a_batch_is_handed_back_between_two_utterances(fleet: RunningFleet) -> None:
    fleet.gate.close()
    texts = [waiting(number) + " And then go on for long." * 20 for number in range(TOGETHER)]
    with batching(fleet, texts, **SHORT) as (worker, ids):
        wait_for(lambda: in_hand(worker) > 1)  # each fills a batch by itself, so it takes few of them
        worker.process.terminate()
        wait_for(lambda: "handed back" in worker.process.log_tail(20))
        fleet.gate.open()
        wait_for(lambda: not worker.process.running)

        assert worker.process.exit_code == 0
        assert "handed back: the worker must stop" in worker.process.log_tail(100)
    assert [ended_well(fleet, job_id) for job_id in ids] == [True] * TOGETHER


def test_a_main_process_whose_child_does_not_answer_ends_itself(fleet: RunningFleet) -> None:
    """The child is stopped, so that not even its threads run; what it had counts as its worker's death."""
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving, heir = fleet.new_worker(Lane.INTERACTIVE, **SHORT), fleet.new_worker()
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait for a frozen child,"))
        wait_for(lambda: busy(leaving.url))
        (child,) = children(leaving.process.pid)
        os.kill(child, signal.SIGSTOP)

        leaving.process.terminate()
        wait_for(lambda: not leaving.process.running)

        assert leaving.process.exit_code == HANDED_BACK
        wait_for(lambda: not os.path.exists(f"/proc/{child}"))
        fleet.gate.open()
        heir.process.start()
        job = fleet.api.finished(job_id)
        assert (job["state"], job["attempts"]) == ("succeeded", 2)
        heir.process.stop()


def test_a_sigterm_to_every_process_of_a_worker_is_one_to_its_main(fleet: RunningFleet) -> None:
    """As systemd sends it."""
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving = fleet.new_worker()
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait, we are all told,"))
        wait_for(lambda: busy(leaving.url))

        for pid in [leaving.process.pid, *children(leaving.process.pid)]:
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: draining(leaving))
        fleet.gate.open()
        wait_for(lambda: not leaving.process.running)

        assert leaving.process.exit_code == 0
        assert ended_well(fleet, job_id)


def draining(worker: Worker) -> bool:
    return httpx.get(f"{worker.url}/readyz", trust_env=False).json()["draining"]


def test_a_segment_over_its_limit_while_the_worker_drains_fails_for_that(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving = fleet.new_worker(EMOTIVOICE_SEGMENT_LIMIT_SECONDS="2")
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait for longer than allowed,"))
        wait_for(lambda: busy(leaving.url))

        leaving.process.terminate()
        wait_for(lambda: not leaving.process.running)

        job = fleet.api.finished(job_id)
        assert leaving.process.exit_code == 0
        assert (job["state"], job["error"]["code"], job["attempts"]) == ("failed", "timed_out", 1)


def test_a_worker_that_drains_while_rabbitmq_is_away_hands_back(fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving, heir = fleet.new_worker(Lane.INTERACTIVE, **SHORT), fleet.new_worker()
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait without a broker,"))
        wait_for(lambda: busy(leaving.url))

        with stopped(fleet.servers.rabbitmq):
            leaving.process.terminate()
            wait_for(lambda: not leaving.process.running)
        wait_for(lambda: fleet.api.http.get("/readyz").status_code == 200)

        heir.process.start()
        fleet.gate.open()
        assert ended_well(fleet, job_id)
        heir.process.stop()


def test_a_child_that_is_lost_while_the_worker_drains_is_not_replaced(fleet: RunningFleet) -> None:
    """The worker would wait for the load of a new one, which here takes as long as the gate is closed."""
    with fleet.without_worker(Lane.INTERACTIVE):
        leaving = fleet.new_worker(Lane.INTERACTIVE, **LOADS_AT_THE_GATE, **SHORT)
        leaving.process.start()
        fleet.gate.close()
        job_id = fleet.api.submit(unheard("Please wait, the child is lost,"))
        wait_for(lambda: busy(leaving.url))
        (child,) = children(leaving.process.pid)

        leaving.process.terminate()
        wait_for(lambda: draining(leaving))
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not leaving.process.running)

        assert leaving.process.exit_code == 0
    assert fleet.api.finished(job_id)["attempts"] == 2

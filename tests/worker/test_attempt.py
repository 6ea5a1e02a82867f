"""One attempt of one step: done once, tried again when that may help, and never without an end."""

import time
from dataclasses import replace

import pytest

from shared.jobs import MAX_ATTEMPTS, MAX_RETRIES, Job, JobState, SpeechRequest, Step, StepState
from tests.worker.conftest import World
from worker.attempt import SegmentTimeLimit, Verdict, attempt
from worker.engine import DeviceLost
from worker.lease import Lease


def held(world: World, job_id: str, *, seconds: float) -> None:
    """Let another worker hold the step for so many more seconds."""
    step = Step("0", StepState.RUNNING, attempts=1, token="another", lease_expires_at=time.time() + seconds)
    world.jobs.steps[job_id]["0"] = step
    world.jobs.jobs[job_id] = replace(world.jobs.jobs[job_id], state=JobState.RUNNING, attempts=1)


def test_a_job_succeeds_in_its_first_attempt(world: World) -> None:
    job_id = world.submit("Hello there.")

    ending = world.deliver(job_id)

    job = world.jobs.jobs[job_id]
    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, "done")
    assert (job.state, job.attempts, job.segments_done) == (JobState.SUCCEEDED, 1, 1)
    assert job.created_at <= (job.started_at or 0) <= (job.finished_at or 0)
    assert world.queue.messages == []


def test_a_second_delivery_does_nothing_twice(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.deliver(job_id)
    finished = world.jobs.jobs[job_id]

    again = world.deliver(job_id, redelivered=True)

    assert again.verdict is Verdict.ACKNOWLEDGE
    assert world.jobs.jobs[job_id] == finished
    assert len(world.engine.spoken) == 1


def test_a_job_that_is_gone_leaves_no_message_behind(world: World) -> None:
    ending = world.deliver("no such job")

    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, "missing")


def test_a_cancelled_job_is_not_begun(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=time.time())

    assert world.deliver(job_id).verdict is Verdict.ACKNOWLEDGE
    assert world.engine.spoken == []


@pytest.mark.parametrize("text", ["Let it overflow.", "Let it exhaust us."])
def test_a_text_that_does_not_fit_into_memory_fails_and_is_not_tried_elsewhere(world: World, text: str) -> None:
    job_id = world.submit(text)

    assert world.deliver(job_id).verdict is Verdict.ACKNOWLEDGE
    assert world.failure(job_id) == "out_of_memory"
    assert world.deliver(world.submit("Hello there.")).outcome == "done"


def test_a_lost_gpu_leaves_the_step_to_another_process(world: World) -> None:
    job_id = world.submit("Please unplug it.")

    with pytest.raises(DeviceLost):
        world.deliver(job_id)

    assert world.jobs.jobs[job_id].state is JobState.RUNNING
    assert world.deliver(job_id).verdict is Verdict.RETRY  # its lease still runs
    with pytest.raises(DeviceLost):
        world.deliver(job_id, redelivered=True)
    assert world.step(job_id).attempts == 2


def test_an_outage_of_the_object_store_is_tried_again(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.objects.outages = 1

    first = world.deliver(job_id)

    assert (first.verdict, world.step(job_id).state) == (Verdict.RETRY, StepState.WAITING)
    assert first.retry_seconds > 0
    assert world.deliver(job_id).verdict is Verdict.ACKNOWLEDGE
    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert world.jobs.jobs[job_id].attempts == 2


def test_each_retry_waits_longer(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.objects.outages = 2

    assert world.deliver(job_id).retry_seconds < world.deliver(job_id).retry_seconds


def test_an_outage_that_does_not_end_fails_the_job(world: World) -> None:
    job_id = world.submit("Hello there.")
    world.objects.outages = MAX_RETRIES + 1

    verdicts = [world.deliver(job_id).verdict for _ in range(MAX_RETRIES + 1)]

    assert verdicts == [Verdict.RETRY] * MAX_RETRIES + [Verdict.ACKNOWLEDGE]
    assert world.failure(job_id) == "storage_unavailable"


@pytest.mark.parametrize(
    ("text", "code"), [("Please refuse this.", "engine_failed"), ("Please mumble this.", "unspeakable_text")]
)
def test_what_the_engine_cannot_do_fails_the_job_at_once(world: World, text: str, code: str) -> None:
    job_id = world.submit(text)

    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, code)
    assert world.failure(job_id) == code
    assert world.jobs.jobs[job_id].attempts == 1


def test_a_fault_of_ours_fails_the_job_and_keeps_the_message(world: World) -> None:
    job_id = world.submit("Please break this.")

    ending = world.deliver(job_id)

    assert (ending.verdict, world.failure(job_id)) == (Verdict.DEAD_LETTER, "internal_error")


def test_a_segment_that_takes_too_long_fails_the_job(world: World) -> None:
    job_id = world.submit("Hello there.")

    def too_slow(_: Job, __: SpeechRequest, ___: Lease) -> None:
        raise SegmentTimeLimit

    ending = attempt(job_id, "0", redelivered=False, runtime=world.runtime, work=too_slow)

    assert (ending.verdict, world.failure(job_id)) == (Verdict.ACKNOWLEDGE, "timed_out")


def test_a_step_that_a_living_worker_holds_is_left_to_it(world: World) -> None:
    job_id = world.submit("Hello there.")
    held(world, job_id, seconds=20)

    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.RETRY, "held")
    assert ending.retry_seconds == pytest.approx(20, abs=1)  # when the lease ends, should its holder have died
    assert world.engine.spoken == []


def test_a_redelivered_step_is_taken_over_before_its_lease_ends(world: World) -> None:
    job_id = world.submit("Hello there.")
    held(world, job_id, seconds=20)

    world.deliver(job_id, redelivered=True)

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert world.jobs.jobs[job_id].attempts == 2


def test_a_step_of_a_worker_that_went_silent_is_taken_over(world: World) -> None:
    job_id = world.submit("Hello there.")
    held(world, job_id, seconds=-1)

    world.deliver(job_id)

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED


def test_a_job_that_killed_every_worker_is_given_up(world: World) -> None:
    job_id = world.submit("Hello there.")
    held(world, job_id, seconds=20)
    world.jobs.steps[job_id]["0"] = replace(world.step(job_id), attempts=MAX_ATTEMPTS)

    ending = world.deliver(job_id, redelivered=True)

    assert (ending.verdict, world.failure(job_id)) == (Verdict.DEAD_LETTER, "worker_lost")
    assert world.engine.spoken == []


def test_a_result_that_comes_after_a_takeover_is_not_counted(world: World) -> None:
    job_id = world.submit("One sentence only.")
    world.engine.after_each = lambda _: held(world, job_id, seconds=20)

    ending = world.deliver(job_id)

    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, "fenced")
    assert world.jobs.jobs[job_id].state is JobState.RUNNING
    assert world.step(job_id).token == "another"

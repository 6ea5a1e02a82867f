"""One attempt of one step: done once, tried again when that may help, and never without an end."""

import time
from dataclasses import replace

import pytest

from shared.jobs import JOIN, MAX_ATTEMPTS, MAX_RETRIES, PLAN, Job, JobState, SpeechRequest, Step, StepState
from tests.worker.conftest import World
from worker.attempt import SegmentTimeLimit, SpokenElsewhere, Verdict, attempt
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


@pytest.mark.parametrize("text", ["There is a nan in it.", "Let it be silence.", "Let it be empty."])
def test_nonsense_is_tried_three_times_and_then_fails(world: World, text: str) -> None:
    job_id = world.submit(text)

    endings = [world.deliver(job_id) for _ in range(3)]

    assert [ending.verdict for ending in endings] == [Verdict.RETRY, Verdict.RETRY, Verdict.ACKNOWLEDGE]
    assert 0 < endings[0].retry_seconds < endings[1].retry_seconds
    assert (world.failure(job_id), world.jobs.jobs[job_id].attempts) == ("invalid_audio", 3)
    assert world.objects.objects == {}


@pytest.mark.parametrize("text", ["Please systemexit.", "Please interrupt."])
def test_an_engine_that_asks_for_the_end_of_its_process_fails_the_job(world: World, text: str) -> None:
    job_id = world.submit(text)

    assert world.deliver(job_id).verdict is Verdict.DEAD_LETTER
    assert world.failure(job_id) == "internal_error"
    assert world.deliver(world.submit("Hello there.")).outcome == "done"


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


def must_stop(world: World) -> None:
    world.leases.must_stop = lambda: True


def test_work_in_hand_is_handed_back_between_two_utterances(world: World) -> None:
    job_id = world.submit("One sentence. And another.")
    world.engine.after_each = lambda _: must_stop(world)

    ending = world.deliver(job_id)

    assert (ending.verdict, len(world.engine.spoken)) == (Verdict.HAND_BACK, 1)
    assert (world.step(job_id).state, world.step(job_id).deaths) == (StepState.WAITING, 0)

    world.engine.after_each = lambda _: None
    world.leases.must_stop = lambda: False
    assert world.deliver(job_id, redelivered=True).outcome == "done"
    assert world.jobs.jobs[job_id].attempts == 1


def test_what_ends_with_its_last_utterance_is_not_handed_back(world: World) -> None:
    job_id = world.submit("One sentence only.")
    world.engine.after_each = lambda _: must_stop(world)

    assert world.deliver(job_id).outcome == "done"


def test_nothing_is_begun_by_a_worker_that_must_stop(world: World) -> None:
    job_id = world.submit("Hello there.")
    must_stop(world)

    assert world.deliver(job_id).verdict is Verdict.HAND_BACK
    assert world.jobs.steps[job_id] == {}


def test_a_cancelled_job_that_is_handed_back_leaves_no_message(world: World) -> None:
    job_id = world.submit("One sentence. And another.")

    def cancel(_: str) -> None:
        world.jobs.jobs[job_id] = world.jobs.jobs[job_id].cancelled(now=time.time())
        must_stop(world)

    world.engine.after_each = cancel

    assert world.deliver(job_id).verdict is Verdict.ACKNOWLEDGE


def test_work_is_in_hand_only_while_it_is_worked_on(world: World) -> None:
    seen: list[bool] = []
    world.engine.after_each = lambda _: seen.append(world.leases.open)

    world.deliver(world.submit("Hello there."))

    assert (seen, world.leases.open) == ([True], False)


def test_audio_that_another_worker_speaks_is_looked_for_later_however_often(world: World) -> None:
    job_id = world.submit("Hello there.")

    def elsewhere(_: Job, __: SpeechRequest, ___: Lease) -> None:
        raise SpokenElsewhere

    for _ in range(MAX_ATTEMPTS + MAX_RETRIES + 1):
        ending = attempt(job_id, "0", redelivered=False, runtime=world.runtime, work=elsewhere)
        assert (ending.verdict, ending.outcome) == (Verdict.RETRY, "spoken_elsewhere")

    assert world.deliver(job_id).outcome == "done"
    assert world.jobs.jobs[job_id].attempts == 1


def planned(world: World) -> str:
    """Return a long job of several segments, planned and enqueued."""
    job_id = world.submit(
        "\n\n".join(f"Part {n}. " + "It goes on and on for quite a while. " * 8 for n in range(3)), long=True
    )
    world.deliver(job_id, PLAN)
    assert len(world.queue.messages) == 3
    world.queue.messages.clear()
    return job_id


def test_a_join_that_comes_too_early_is_let_go(world: World) -> None:
    job_id = planned(world)
    world.deliver(job_id, "0")

    ending = world.deliver(job_id, JOIN)

    assert (ending.verdict, ending.outcome) == (Verdict.ACKNOWLEDGE, "not_ready")
    assert world.step(job_id, "0").state is StepState.DONE


def test_a_plan_that_comes_again_enqueues_what_waits(world: World) -> None:
    job_id = planned(world)
    world.deliver(job_id, "1")

    world.deliver(job_id, PLAN, redelivered=True)

    assert [step for _, step, _ in world.queue.messages] == ["0", "2"]


def test_a_segment_that_comes_again_does_not_enqueue_the_others_again(world: World) -> None:
    """Each of thousands would bring thousands."""
    job_id = planned(world)
    world.deliver(job_id, "1")

    world.deliver(job_id, "1", redelivered=True)

    assert world.queue.messages == []


def test_the_last_segment_comes_again_until_the_join_is_enqueued(world: World) -> None:
    job_id = planned(world)
    world.deliver(job_id, "0")
    world.deliver(job_id, "1")
    world.jobs.steps[job_id]["2"] = Step("2", attempts=MAX_RETRIES, retries=MAX_RETRIES)
    world.queue.refuses = True

    assert world.deliver(job_id, "2").verdict is Verdict.RETRY

    world.queue.refuses = False
    assert world.deliver(job_id, "2").verdict is Verdict.ACKNOWLEDGE
    assert [step for _, step, _ in world.queue.messages] == [JOIN]

"""Celery's edge: what becomes of a message follows from its attempt, and from nothing else."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded

from shared.jobs import PLAN, JobState, StepState
from shared.queue import task_name
from tests.waiting import wait_for
from tests.worker.conftest import World
from worker.runtime import Runtime
from worker.tasks import register


class App:
    """What a Celery app is to us. A real one would hand its tasks to every other app of the process."""

    def __init__(self) -> None:
        self.tasks: dict[str, Callable[..., None]] = {}

    def task(self, *, name: str, **_: Any) -> Callable[[Callable[..., None]], None]:
        return lambda function: self.tasks.update({name: function})


def in_time(*, countdown: float) -> Retry:
    return Retry(f"in {countdown} s")


def deliver(
    world: World, job_id: str, *, retry: Callable[..., Retry] = in_time, step: str = "0", redelivered: bool = False
) -> None:
    """Hand over the message as Celery does, in a child whose memory can't be looked at."""

    def look(_: Runtime) -> None:
        raise KeyError("reserved")

    app: Any = App()
    register(app, lambda: world.runtime, look)
    request = SimpleNamespace(delivery_info={"redelivered": redelivered})
    app.tasks[task_name(step)](SimpleNamespace(request=request, retry=retry), job_id, step)


def test_a_look_that_fails_does_not_spoil_a_success(world: World, caplog: pytest.LogCaptureFixture) -> None:
    job_id = world.submit("Hello.")

    deliver(world, job_id)

    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    assert "could not be looked at" in caplog.text


def test_a_look_that_fails_does_not_lose_a_retry(world: World) -> None:
    world.objects.outages = 1

    with pytest.raises(Retry):
        deliver(world, world.submit("Hello."))


def test_a_look_that_fails_leaves_a_dead_letter_what_it_is(world: World) -> None:
    with pytest.raises(Reject, match="internal_error"):
        deliver(world, world.submit("Please break this."))


def test_what_is_handed_back_goes_to_any_other_worker_at_once(world: World) -> None:
    world.leases.must_stop = lambda: True

    with pytest.raises(Reject, match="True"):  # to be enqueued again
        deliver(world, world.submit("Hello."))


def test_a_retry_that_the_broker_does_not_take_goes_back_to_the_queue(world: World) -> None:
    """Celery would send it to the dead-letter queue, and nobody would work on the job."""

    def refused(*, countdown: float) -> Retry:
        raise Reject(f"not in {countdown} s", requeue=False)

    world.objects.outages = 1

    with pytest.raises(Reject, match="True"):  # to be enqueued again
        deliver(world, world.submit("Hello."), retry=refused)


def test_a_time_limit_that_comes_after_the_work_loses_no_message(world: World) -> None:
    def late(*, countdown: float) -> Retry:
        raise SoftTimeLimitExceeded(countdown)

    world.objects.outages = 1

    with pytest.raises(Reject, match="True"):  # to be enqueued again
        deliver(world, world.submit("Hello."), retry=late)


def test_a_message_comes_again_when_what_follows_could_not_be_enqueued(world: World) -> None:
    text = "It goes on and on for quite a while. " * 20
    job_id = world.submit(text, long=True)
    world.deliver(job_id, PLAN)
    world.queue.refuses = True

    with pytest.raises(Retry):
        deliver(world, job_id, step=PLAN)


LONG = "It goes on and on for quite a while. " * 40


def listened_to(world: World, text: str = LONG) -> str:
    """Submit a long text that somebody listens to."""
    job_id = world.submit(text, long=True)
    world.jobs.jobs[job_id] = replace(world.jobs.jobs[job_id], stream=True)
    return job_id


def enqueued(world: World, job_id: str) -> list[str]:
    """Return the steps that were enqueued so far, once the segments are."""
    segments = world.jobs.jobs[job_id].segments()[1:]
    wait_for(lambda: [step for _, step, _ in world.queue.messages][-len(segments) :] == segments)
    return [step for _, step, _ in world.queue.messages]


def test_who_plans_a_text_that_is_listened_to_speaks_its_first_segment(world: World) -> None:
    job_id = listened_to(world)

    deliver(world, job_id, step=PLAN)

    assert world.jobs.jobs[job_id].segments_done == 1
    assert enqueued(world, job_id) == world.jobs.jobs[job_id].segments()[1:]


def test_a_plan_that_nobody_listens_to_is_only_a_plan(world: World) -> None:
    job_id = world.submit(LONG, long=True)

    deliver(world, job_id, step=PLAN)

    assert world.jobs.jobs[job_id].segments_done == 0
    assert enqueued(world, job_id) == world.jobs.jobs[job_id].segments()


def test_the_plan_s_message_takes_the_first_segment_over_from_a_worker_that_died(world: World) -> None:
    job_id = listened_to(world)

    def die(_: str) -> None:
        raise GeneratorExit  # as good as a kill: nothing records it

    world.engine.after_each = die
    with pytest.raises(GeneratorExit):
        deliver(world, job_id, step=PLAN)
    assert world.step(job_id).state is StepState.RUNNING
    world.engine.after_each = lambda _: None

    deliver(world, job_id, step=PLAN, redelivered=True)

    assert (world.step(job_id).state, world.step(job_id).attempts) == (StepState.DONE, 2)


@pytest.mark.parametrize("away", ["the object store", "the worker, soon"])
def test_a_first_segment_that_does_not_come_to_its_end_gets_a_message_of_its_own(world: World, away: str) -> None:
    job_id = listened_to(world)

    def leave(_: str) -> None:
        world.objects.outages = 1 if away == "the object store" else 0
        world.leases.must_stop = lambda: away == "the worker, soon"

    world.engine.after_each = leave

    deliver(world, job_id, step=PLAN)

    assert world.step(job_id).state is StepState.WAITING
    assert sorted(enqueued(world, job_id), key=int) == world.jobs.jobs[job_id].segments()


def test_a_first_segment_without_a_message_of_its_own_keeps_the_plan_s(world: World) -> None:
    job_id = listened_to(world)

    def leave(_: str) -> None:
        world.objects.outages, world.queue.refuses = 1, True

    world.engine.after_each = leave

    with pytest.raises(Reject, match="True"):
        deliver(world, job_id, step=PLAN)

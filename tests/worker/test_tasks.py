"""Celery's edge: what becomes of a message follows from its attempt, and from nothing else."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject, Retry

from shared.jobs import JobState
from shared.queue import SPEAK_TASK
from tests.worker.conftest import World
from worker.runtime import Runtime
from worker.tasks import register


class App:
    """What a Celery app is to us. A real one would hand its tasks to every other app of the process."""

    def __init__(self) -> None:
        self.tasks: dict[str, Callable[..., None]] = {}

    def task(self, *, name: str, **_: Any) -> Callable[[Callable[..., None]], None]:
        return lambda function: self.tasks.update({name: function})


def deliver(world: World, job_id: str) -> None:
    """Hand over the message as Celery does, in a child whose memory can't be looked at."""

    def look(_: Runtime) -> None:
        raise KeyError("reserved")

    def retry(*, countdown: float) -> Retry:
        return Retry(f"in {countdown} s")

    app: Any = App()
    register(app, lambda: world.runtime, look)
    request = SimpleNamespace(delivery_info={"redelivered": False})
    app.tasks[SPEAK_TASK](SimpleNamespace(request=request, retry=retry), job_id, "0")


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

"""Workers as a Deployment has them, with processes that only pretend."""

from pathlib import Path

import pytest

from bench.replicas import Replicas
from cli.stack.errors import ProcessDied
from cli.stack.process import Command, Process

COLD_START = 20.0
GRACE = 30.0


class Pretended(Process):
    """Runs from its launch until a test sets `code`; stops at once when asked, unless it is stubborn."""

    def __init__(self, number: int) -> None:
        super().__init__(f"worker {number}", Command([], Path("no log")))
        self.launched = self.warm = self.stubborn = False
        self.code: int | None = None
        self.asked = 0  # whether it is warm

    @property
    def running(self) -> bool:
        return self.launched and self.code is None

    @property
    def exit_code(self) -> int | None:
        return self.code

    def launch(self) -> None:
        self.launched = True

    def ready(self) -> bool:
        self.asked += 1
        return self.warm

    def terminate(self) -> None:
        if not self.stubborn:
            self.code = 0

    def kill(self) -> None:
        self.code = -9 if self.code is None else self.code


class World:
    """Two warm workers to begin with, and a clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.processes = list[Pretended]()
        self.replicas = Replicas(self._new, cold_start_seconds=COLD_START, grace_seconds=GRACE, clock=lambda: self.now)
        self.replicas.begin(2)

    def _new(self, number: int, cold_start: float) -> Process:
        process = Pretended(number)
        process.warm = cold_start == 0
        self.processes.append(process)
        return process

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.replicas.look()

    @property
    def still_running(self) -> list[str]:
        return [each.name for each in self.processes if each.running]


@pytest.fixture
def world() -> World:
    return World()


def test_workers_are_wanted_at_once_and_warm_later(world: World) -> None:
    world.replicas.scale(5)
    assert (world.replicas.wanted, world.replicas.warm) == (5, 2)

    for process in world.processes:
        process.warm = True
    world.later(COLD_START)

    assert (world.replicas.wanted, world.replicas.warm) == (5, 5)
    assert [each.warm_at for each in world.replicas.all[2:]] == [world.now] * 3


def test_nobody_is_asked_before_it_can_be_warm(world: World) -> None:
    world.replicas.scale(3)

    world.later(COLD_START - 1)
    assert world.processes[2].asked == 0

    world.later(1)
    assert world.processes[2].asked == 1


def test_what_is_not_warm_goes_first_and_then_the_youngest(world: World) -> None:
    world.replicas.scale(4)
    world.processes[2].warm = True
    world.later(COLD_START)

    world.replicas.scale(3)
    assert world.still_running == ["worker 1", "worker 2", "worker 3"]

    world.replicas.scale(1)
    assert world.still_running == ["worker 1"]


def test_who_was_told_to_go_does_not_count_but_costs_until_it_has_gone(world: World) -> None:
    began = world.now
    world.processes[1].stubborn = True
    world.replicas.scale(1)
    assert world.replicas.wanted == 1

    world.later(10)
    world.processes[1].code = 0
    world.later(0)

    assert world.replicas.ended_badly == 0
    assert world.replicas.seconds(began, began + 100) == 100 + 10


def test_workers_cost_from_their_start_within_the_time_that_is_asked_for(world: World) -> None:
    began = world.now
    world.later(30)
    world.replicas.scale(3)

    assert world.replicas.seconds(began, began + 40) == 2 * 40 + 10


def test_a_worker_that_ends_by_itself_ends_the_run(world: World) -> None:
    world.processes[0].code = 70

    with pytest.raises(ProcessDied, match="worker 1"):
        world.later(1)


def test_who_does_not_go_is_killed_when_its_grace_is_over(world: World) -> None:
    world.processes[1].stubborn = True
    world.replicas.scale(1)

    world.later(GRACE - 1)
    assert world.still_running == ["worker 1", "worker 2"]

    world.later(1)
    assert world.still_running == ["worker 1"]
    assert world.replicas.ended_badly == 1


def test_nobody_is_left_in_the_end(world: World) -> None:
    world.replicas.scale(4)

    with pytest.raises(KeyboardInterrupt), world.replicas:
        raise KeyboardInterrupt

    assert world.still_running == []
    assert world.replicas.ended_badly == 0

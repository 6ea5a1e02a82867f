"""Nodes: who gets which, and how many are paid for, beside what Kubernetes and its autoscaler do with standby pods."""

from collections.abc import Callable

import pytest

from planner.events import Events
from planner.supply import Nodes, Supply


class World:
    """Nodes that workers ask for at given times, and the times at which they get them."""

    def __init__(self, supply: Supply, *, in_use: int = 0) -> None:
        self.events = Events()
        self.nodes = Nodes(supply, self.events, in_use=in_use, standby=supply.standby_nodes)
        self.got = list[float]()
        self.paid = 0.0

    def ask(self, *times: float) -> None:
        for at in times:
            self.events.at(at, lambda: self.nodes.ask(self._use))

    def do(self, at: float, action: Callable[[], None]) -> None:
        self.events.at(at, action)

    def until(self, end: float) -> None:
        self.events.at(end, self._count)
        while self.events.next_at <= end:
            self.events.step()

    def _use(self) -> bool:
        self.got.append(self.events.now)
        return True

    def _count(self) -> None:
        self.paid = self.nodes.seconds()


def test_what_is_held_is_what_is_in_use_and_the_standby_nodes_besides() -> None:
    world = World(Supply(standby_nodes=3), in_use=2)

    world.until(100)

    assert world.paid == 5 * 100


def test_a_standby_pod_that_gave_its_node_away_gets_another_which_takes_as_long_as_any() -> None:
    world = World(Supply(node_start_seconds=100, standby_nodes=1))

    world.ask(0, 150, 160)
    world.until(400)

    # 150: the node that was fetched since 0 s is there. 160: the standby pod is without one again, until 250 s.
    assert world.got == [0, 150, 250]
    # Three in use and one that stands by, from the moments at which they were asked for.
    assert world.paid == pytest.approx(400 + 400 + 250 + 240)


def test_a_worker_gets_the_next_node_before_a_standby_pod_does() -> None:
    world = World(Supply(node_start_seconds=100, standby_nodes=1))

    world.ask(0, 10)
    world.until(120)

    assert world.got == [0, 100]  # the one that was fetched for the standby pod


def test_a_node_that_is_given_back_goes_to_a_standby_pod_and_the_one_that_comes_is_let_go() -> None:
    world = World(Supply(node_start_seconds=100, node_idle_seconds=60, standby_nodes=1))

    world.ask(0)
    world.do(50, world.nodes.give_back)
    world.until(400)

    assert world.paid == pytest.approx(400 + (100 + 60))


def test_nodes_beyond_those_that_stand_by_are_let_go_when_they_were_idle_for_long_enough() -> None:
    world = World(Supply(node_idle_seconds=60, standby_nodes=1), in_use=2)

    world.do(100, world.nodes.give_back)
    world.do(200, world.nodes.give_back)
    world.until(400)

    assert world.paid == pytest.approx(400 + 160 + 260)


def test_standby_pods_take_no_more_nodes_than_there_are() -> None:
    world = World(Supply(max_nodes=3, node_start_seconds=10, standby_nodes=2), in_use=2)

    world.ask(0)
    world.do(100, world.nodes.give_back)
    world.ask(200)
    world.until(300)

    assert world.got == [0, 200]
    assert world.paid == 3 * 300


def test_fewer_standby_pods_leave_their_nodes_and_more_of_them_take_idle_ones_first() -> None:
    world = World(Supply(node_start_seconds=10, node_idle_seconds=60, standby_nodes=2))

    world.do(100, lambda: world.nodes.stand_by(0))
    world.do(130, lambda: world.nodes.stand_by(3))
    world.do(300, lambda: world.nodes.stand_by(0))
    world.until(500)

    assert world.paid == pytest.approx(2 * 360 + (360 - 130))

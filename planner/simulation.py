"""A lane that is scaled by KEDA and the HPA, from the first second of a trace to its end."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from planner.events import Events
from planner.hpa import SYNC_SECONDS, Autoscaler
from planner.keda import Keda, Reading
from planner.lane import LANE_MESSAGES, Lane
from planner.scaled_object import Floor, ScaledObject
from planner.supply import Nodes, Supply
from planner.trace import Trace

STATS_SECONDS = 5.0  # RabbitMQ's quorum_tick_interval: how often a queue counts its messages
SCRAPE_SECONDS = 15.0  # how often Prometheus asks the gateway (docker/prometheus.yml)
STANDBY_SECONDS = 30.0  # KEDA's pollingInterval of the standby pods, which it has by the clock
OVERTIME_SECONDS = 4 * 3600.0  # how long after the last arrival what waits may still be worked on
A_MONDAY = datetime(2026, 1, 5)


@dataclass(frozen=True)
class World:
    """What the simulation takes for given besides the load and the ScaledObject."""

    supply: Supply = field(default_factory=Supply)
    begins: datetime = A_MONDAY  # second 0 by the clock on the wall, for cron triggers
    sync_phase: float = SYNC_SECONDS  # when the first sync of the HPA is, in seconds
    poll_phase: float = 0  # and KEDA's first look
    replicas: int | None = None  # warm ones at the beginning; None: what the ScaledObject has at rest
    broker_away: tuple[float, float] | None = None  # from second to second
    prometheus_away: tuple[float, float] | None = None
    lane_messages: int = LANE_MESSAGES
    counts_behind: int = 1  # by how many ticks the management API is late: it collects at moments of its own


@dataclass(frozen=True)
class Sample:
    """The lane at a moment: workers asked for, those that are warm and not leaving; messages taken and waiting."""

    at: float
    replicas: int
    warm: int
    busy: int
    waiting: int


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    waits: NDArray[np.float64]  # of each job, in seconds; NaN for one that was refused or never started
    changes: list[tuple[float, int]]  # when the replicas changed, to what; the first entry is the beginning
    samples: list[Sample]  # at each sync of the HPA
    gpu_seconds: float  # from the beginning to the end of the trace
    finished: int
    refused: int
    unfinished: int
    handed_back: int


def simulate(scaled: ScaledObject, trace: Trace, world: World) -> Outcome:
    """Run a lane through a trace. The same arguments give the same outcome."""
    return _Simulation(scaled, trace, world).run()


def replicas_at_rest(scaled: ScaledObject, begins: datetime) -> int:
    """Return how many replicas there are at a time at which nothing waits."""
    floors = [each for each in scaled.triggers if isinstance(each, Floor)]
    wanted = [each.replicas for each in floors if each.window.state(begins)[0]]
    return min(max([scaled.min_replicas, *wanted]), scaled.max_replicas)


class _Simulation:
    def __init__(self, scaled: ScaledObject, trace: Trace, world: World) -> None:
        self._trace, self._world = trace, world
        self._events = Events()
        self._keda = Keda(scaled)
        self._autoscaler = Autoscaler(scaled.limits)
        warm = replicas_at_rest(scaled, world.begins) if world.replicas is None else world.replicas
        nodes = Nodes(world.supply, self._events, in_use=warm, standby=world.supply.standby_at(world.begins))
        self._lane = Lane(trace, nodes, self._events, warm=warm, bound=world.lane_messages)
        self._counted = deque([(0, 0)], maxlen=world.counts_behind + 1)
        self._oldest, self._busy = 0.0, 0
        self._gpu_seconds = 0.0
        self._changes = [(0.0, warm)]
        self._samples = list[Sample]()
        self._events.every(STATS_SECONDS, self._collect, first=0)
        self._events.every(SCRAPE_SECONDS, self._scrape, first=0)
        self._events.every(scaled.polling_seconds, self._poll, first=world.poll_phase)
        self._events.every(SYNC_SECONDS, self._sync, first=world.sync_phase)
        if world.supply.standby_hours:
            self._events.every(STANDBY_SECONDS, self._stand_by, first=0)
        self._events.at(trace.duration, self._count)

    def run(self) -> Outcome:
        events, arrivals, lane = self._events, self._trace.arrivals.tolist(), self._lane
        for job, arrival in enumerate(arrivals):
            while events.next_at < arrival:
                events.step()
            events.now = arrival
            lane.arrive(job)
        total = len(arrivals)
        while events.next_at <= self._trace.duration or lane.finished + lane.refused < total:
            if events.next_at > self._trace.duration + OVERTIME_SECONDS:
                break
            events.step()
        unfinished = total - lane.finished - lane.refused
        counts = (lane.finished, lane.refused, unfinished, lane.handed_back)
        return Outcome(lane.waits, self._changes, self._samples, self._gpu_seconds, *counts)

    def _collect(self) -> None:
        self._counted.append((len(self._lane.waiting), self._lane.taken))

    def _scrape(self) -> None:
        self._oldest, self._busy = self._lane.oldest_seconds, self._lane.taken  # a worker has one job in hand at most

    def _stand_by(self) -> None:
        clock = self._world.begins + timedelta(seconds=self._events.now)
        self._lane.nodes.stand_by(self._world.supply.standby_at(clock))

    def _count(self) -> None:
        self._gpu_seconds = self._lane.nodes.seconds()

    def _poll(self) -> None:
        self._scale(self._keda.poll(self._events.now, self._reading(), current=self._lane.replicas))

    def _sync(self) -> None:
        now, lane = self._events.now, self._lane
        if lane.replicas:
            metrics = self._keda.metrics(now, self._reading(), current=lane.replicas)
            self._scale(self._autoscaler.sync(now, current=lane.replicas, metrics=metrics, ready=lane.warm))
        self._samples.append(Sample(now, lane.replicas, lane.warm, lane.taken, len(lane.waiting)))

    def _scale(self, replicas: int) -> None:
        if replicas != self._lane.replicas:
            self._changes.append((self._events.now, replicas))
            self._lane.scale(replicas)

    def _reading(self) -> Reading:
        now, world = self._events.now, self._world
        return Reading(
            *self._counted[0],
            ready_now=len(self._lane.waiting),
            oldest_seconds=self._oldest,
            busy=self._busy,
            clock=world.begins + timedelta(seconds=now),
            broker_answers=not _within(now, world.broker_away),
            prometheus_answers=not _within(now, world.prometheus_away),
        )


def _within(now: float, span: tuple[float, float] | None) -> bool:
    return span is not None and span[0] <= now < span[1]

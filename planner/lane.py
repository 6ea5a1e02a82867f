"""A lane: one queue, first in, first out, and the workers that take one segment each from it."""

import math
from collections import deque
from enum import Enum, auto
from functools import partial

import numpy as np
from numpy.typing import NDArray

from planner.events import Events
from planner.supply import Nodes
from planner.trace import Trace

LANE_MESSAGES = 100_000  # what `emotivoice init` bounds a lane to by default (shared/topology.py)
HAND_BACK_SECONDS = 10.0  # how long before SIGKILL a worker hands back what it has in hand (worker/grace.py)


class Phase(Enum):
    """What a worker is doing, in the order in which a ReplicaSet removes them, but for the last."""

    PENDING = auto()  # it has no node
    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    GONE = auto()


class Worker:
    """A pod. One that is to go and has a segment in hand finishes it first."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.phase = Phase.PENDING
        self.leaving = False
        self.job = -1
        self.ends_at = math.inf


class Lane:
    """The queue and its workers at a moment."""

    def __init__(self, trace: Trace, nodes: Nodes, events: Events, *, warm: int, bound: int = LANE_MESSAGES) -> None:
        """Begin with an empty queue and so many warm workers, which are those that use nodes."""
        self._trace, self._supply, self._events, self._bound = trace, nodes.supply, events, bound
        self.nodes = nodes
        self.waiting = deque[int]()
        self._workers = list[Worker]()
        self._idle = deque[Worker]()
        self._started = 0
        self.waits: NDArray[np.float64] = np.full(len(trace), math.nan)
        self.taken = self.finished = self.refused = self.handed_back = 0
        for _ in range(warm):
            self._start()
            self._warm(self._workers[-1])

    @property
    def replicas(self) -> int:
        return len(self._workers)

    @property
    def warm(self) -> int:
        return sum(each.phase in (Phase.IDLE, Phase.BUSY) for each in self._workers)

    @property
    def oldest_seconds(self) -> float:
        return self._events.now - float(self._trace.arrivals[self.waiting[0]]) if self.waiting else 0

    def arrive(self, job: int) -> None:
        """A job is submitted."""
        if len(self.waiting) >= self._bound:
            self.refused += 1
            return
        self.waiting.append(job)
        while self._idle:
            worker = self._idle.popleft()
            if worker.phase is Phase.IDLE:
                self._take(worker)
                return

    def scale(self, replicas: int) -> None:
        """Have so many workers, those that leave not counted."""
        for _ in range(replicas - len(self._workers)):
            self._start()
            self.nodes.ask(partial(self._run, self._workers[-1]))
        if replicas < len(self._workers):
            for worker in sorted(self._workers, key=self._goes_first)[: len(self._workers) - replicas]:
                self._remove(worker)

    def _goes_first(self, worker: Worker) -> tuple[int, int]:
        """As a ReplicaSet orders its pods: what is not ready, then the youngest; it knows nothing of idle or busy."""
        phase = worker.phase
        if phase is Phase.BUSY and not self._supply.idle_first:
            phase = Phase.IDLE
        return phase.value, -worker.number

    def _start(self) -> None:
        self._started += 1
        self._workers.append(Worker(self._started))

    def _run(self, worker: Worker) -> bool:
        if worker.phase is Phase.GONE:
            return False
        worker.phase = Phase.STARTING
        self._events.after(self._supply.cold_start_seconds, partial(self._warm, worker))
        return True

    def _warm(self, worker: Worker) -> None:
        if worker.phase is not Phase.GONE:
            self._free(worker)

    def _free(self, worker: Worker) -> None:
        worker.phase = Phase.IDLE
        if self.waiting:
            self._take(worker)
        else:
            self._idle.append(worker)

    def _take(self, worker: Worker) -> None:
        job, now = self.waiting.popleft(), self._events.now
        if math.isnan(self.waits[job]):
            self.waits[job] = now - self._trace.arrivals[job]
        worker.phase, worker.job = Phase.BUSY, job
        worker.ends_at = now + float(self._trace.engine_seconds[job])
        self.taken += 1
        self._events.at(worker.ends_at, partial(self._finish, worker, job))

    def _finish(self, worker: Worker, job: int) -> None:
        if worker.phase is Phase.GONE:  # it was handed back
            return
        assert worker.job == job
        self.taken -= 1
        self.finished += 1
        if worker.leaving:
            self._end(worker)
        else:
            self._free(worker)

    def _remove(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.leaving = True
        if worker.phase is Phase.PENDING:
            worker.phase = Phase.GONE
        elif worker.phase is not Phase.BUSY:
            self._end(worker)
        else:
            deadline = self._events.now + self._supply.grace_seconds - HAND_BACK_SECONDS
            if worker.ends_at > deadline:
                self._events.at(max(deadline, self._events.now), partial(self._hand_back, worker))

    def _hand_back(self, worker: Worker) -> None:
        """Let another worker begin it anew, before what waits."""
        self.taken -= 1
        self.handed_back += 1
        self.waiting.appendleft(worker.job)
        self._end(worker)
        idle = next((each for each in self._idle if each.phase is Phase.IDLE), None)
        if idle:
            self._idle.remove(idle)
            self._take(idle)

    def _end(self, worker: Worker) -> None:
        worker.phase = Phase.GONE
        self.nodes.give_back()

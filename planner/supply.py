"""What workers run on: nodes of one GPU each, which take time to come and cost while they are there."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

from planner.events import Events


@dataclass(frozen=True)
class Supply:
    """What there is to start workers on, and how long that takes. Times are in seconds."""

    cold_start_seconds: float = 20  # from the pod's start to warm and consuming, image and model on the node
    max_nodes: int | None = None  # how many GPUs there are to be had; None: as many as are asked for
    node_start_seconds: float = 0  # from asking for a node until a pod starts on it; 0: the nodes are there
    standby_nodes: int = 0  # standby pods: each keeps a node besides those in use (k8s/components/standby)
    node_idle_seconds: float = 0  # how long an empty node is kept
    grace_seconds: float = 630  # terminationGracePeriodSeconds
    idle_first: bool = False  # whether pod-deletion-cost makes Kubernetes remove idle workers first
    standby_hours: tuple[time, time] | None = None  # of each day, by the clock; None: day and night

    def standby_at(self, clock: datetime) -> int:
        """Return how many standby pods there are to be at a moment."""
        if self.standby_hours is None or self.standby_hours[0] <= clock.time() < self.standby_hours[1]:
            return self.standby_nodes
        return 0


class Nodes:
    """The nodes that are held, and who has them: a worker, a standby pod, or nobody.

    A worker takes an empty node, or else that of a standby pod. The autoscaler fetches one for each pod that is left
    without, and a node that comes or is given back goes to a worker before a standby pod.
    """

    def __init__(self, supply: Supply, events: Events, *, in_use: int, standby: int) -> None:
        """Begin with as many nodes as are in use, and one for each standby pod."""
        self.supply = supply
        self._events = events
        self._standby = standby
        room = standby if supply.max_nodes is None else max(0, supply.max_nodes - in_use)
        self._standing_by = min(standby, room)  # standby pods that have a node
        self._held = in_use + self._standing_by
        self._coming = 0  # of those held
        self._idle_since = deque[float]()
        self._wanted = deque[Callable[[], bool]]()
        self._seconds = 0.0
        self._counted_at = events.now

    def ask(self, use: Callable[[], bool]) -> None:
        """Have `use` called as soon as there is a node; it returns False if it needs none any more."""
        if self._idle_since:
            self._idle_since.pop()
            use()
            return
        if self._standing_by:
            self._standing_by -= 1
            use()
        else:
            self._wanted.append(use)
        self._fetch()

    def give_back(self) -> None:
        """Take a node that has come, or that nobody uses any more."""
        while self._wanted:
            if self._wanted.popleft()():
                return
        if self._standing_by < self._standby:
            self._standing_by += 1
            return
        self._idle_since.append(self._events.now)
        self._events.after(self.supply.node_idle_seconds, self._let_go)

    def stand_by(self, pods: int) -> None:
        """Have so many standby pods from now on."""
        self._standby = pods
        while self._standing_by > pods:
            self._standing_by -= 1
            self.give_back()
        while self._standing_by < pods and self._idle_since:
            self._idle_since.pop()
            self._standing_by += 1
        self._fetch()

    def seconds(self) -> float:
        """Return the node seconds until now."""
        self._hold(0)
        return self._seconds

    def _fetch(self) -> None:
        pending = len(self._wanted) + self._standby - self._standing_by
        while self._coming < pending and (self.supply.max_nodes is None or self._held < self.supply.max_nodes):
            self._coming += 1
            self._hold(1)
            self._events.after(self.supply.node_start_seconds, self._come)

    def _come(self) -> None:
        self._coming -= 1
        self.give_back()

    def _let_go(self) -> None:
        if self._idle_since and self._idle_since[0] <= self._events.now - self.supply.node_idle_seconds:
            self._idle_since.popleft()
            self._hold(-1)

    def _hold(self, change: int) -> None:
        self._seconds += self._held * (self._events.now - self._counted_at)
        self._counted_at = self._events.now
        self._held += change

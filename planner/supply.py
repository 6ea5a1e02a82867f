"""What workers run on: nodes of one GPU each, which take time to come and cost while they are there."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from planner.events import Events


@dataclass(frozen=True)
class Supply:
    """What there is to start workers on, and how long that takes. Times are in seconds."""

    cold_start_seconds: float = 20  # from the pod's start to warm and consuming, image and model on the node
    max_nodes: int | None = None  # how many GPUs there are to be had; None: as many as are asked for
    node_start_seconds: float = 0  # from asking for a node until a pod starts on it; 0: the nodes are there
    standby_nodes: int = 0  # nodes that are kept whether needed or not
    node_idle_seconds: float = 0  # how long an empty node is kept
    grace_seconds: float = 630  # terminationGracePeriodSeconds
    idle_first: bool = False  # whether pod-deletion-cost makes Kubernetes remove idle workers first


class Nodes:
    """The nodes that are held, and whom they were given to."""

    def __init__(self, supply: Supply, events: Events, *, in_use: int) -> None:
        """Begin with as many nodes as are in use, and what stands by besides."""
        self._supply = supply
        self._events = events
        self._held = max(in_use, supply.standby_nodes)
        self._idle_since = deque([events.now] * (self._held - in_use))
        self._wanted = deque[Callable[[], bool]]()
        self._seconds = 0.0
        self._counted_at = events.now

    def ask(self, use: Callable[[], bool]) -> None:
        """Have `use` called as soon as there is a node; it returns False if it needs none any more."""
        if self._idle_since:
            self._idle_since.pop()
            use()
            return
        self._wanted.append(use)
        if self._supply.max_nodes is None or self._held < self._supply.max_nodes:
            self._hold(1)
            self._events.after(self._supply.node_start_seconds, self.give_back)

    def give_back(self) -> None:
        """Take a node that has come, or that nobody uses any more."""
        while self._wanted:
            if self._wanted.popleft()():
                return
        self._idle_since.append(self._events.now)
        self._events.after(self._supply.node_idle_seconds, self._let_go)

    def seconds(self) -> float:
        """Return the node seconds until now."""
        self._hold(0)
        return self._seconds

    def _let_go(self) -> None:
        lapsed = self._idle_since and self._idle_since[0] <= self._events.now - self._supply.node_idle_seconds
        if lapsed and self._held > self._supply.standby_nodes:
            self._idle_since.popleft()
            self._hold(-1)

    def _hold(self, change: int) -> None:
        self._seconds += self._held * (self._events.now - self._counted_at)
        self._counted_at = self._events.now
        self._held += change

"""What is to happen when, in a time of its own."""

import heapq
import math
from collections.abc import Callable

Action = Callable[[], None]


class Events:
    """A queue of actions by their time, in seconds; of one time the first told comes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._told = 0
        self._heap: list[tuple[float, int, Action]] = []

    @property
    def next_at(self) -> float:
        return self._heap[0][0] if self._heap else math.inf

    def at(self, time: float, action: Action) -> None:
        self._told += 1
        heapq.heappush(self._heap, (time, self._told, action))

    def after(self, seconds: float, action: Action) -> None:
        self.at(self.now + seconds, action)

    def every(self, seconds: float, action: Action, *, first: float) -> None:
        """Do it at `first`, and again and again."""

        def again() -> None:
            action()
            self.after(seconds, again)

        self.at(first, again)

    def step(self) -> None:
        """Do what is next."""
        self.now, _, action = heapq.heappop(self._heap)
        action()

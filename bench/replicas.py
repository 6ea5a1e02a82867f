"""Workers as a Deployment has them: one says how many, and processes are started and stopped."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cli.stack.process import Process, check_running, stop_all, wait_ready

Clock = Callable[[], float]
NewWorker = Callable[[int, float], Process]  # of a number, and warm after so many seconds at the earliest; not started


@dataclass
class Replica:
    """A worker's process, and when it came so far; in seconds of the clock."""

    process: Process
    number: int
    launched_at: float
    warm_at: float | None = None
    leaving_at: float | None = None
    ended_at: float | None = None


class Replicas:
    """The workers of one lane. Those that were told to go finish what they have in hand, and no longer count."""

    def __init__(
        self, new_worker: NewWorker, *, cold_start_seconds: float, grace_seconds: float, clock: Clock = time.monotonic
    ) -> None:
        self.all = list[Replica]()
        self.ended_badly = 0  # told to go, and killed when their grace was over, or ended with an error
        self._new_worker, self._clock = new_worker, clock
        self._cold_start, self._grace = cold_start_seconds, grace_seconds

    @property
    def wanted(self) -> int:
        return len(self._staying)

    @property
    def warm(self) -> int:
        return sum(each.warm_at is not None for each in self._staying)

    @property
    def leaving(self) -> Sequence[Replica]:
        return [each for each in self.all if each.leaving_at is not None and each.ended_at is None]

    def begin(self, count: int) -> None:
        """Have so many warm workers to begin with."""
        self._launch(count, cold_start=0)
        wait_ready([each.process for each in self.all])
        for each in self.all:
            each.warm_at = self._clock()

    def scale(self, count: int) -> None:
        """Have so many workers: more are started at once; who is too many is asked to go, and not waited for."""
        missing = count - self.wanted
        self._launch(missing, cold_start=self._cold_start)
        if missing < 0:
            for replica in sorted(self._staying, key=_goes_first)[:-missing]:
                replica.leaving_at = self._clock()
                replica.process.terminate()

    def look(self) -> None:
        """See who has become warm, and who has ended.

        Raises:
            StackError: one has ended that was not told to, or does not become warm.
        """
        check_running(each.process for each in self._staying)
        for replica in self._staying:
            # Nobody is warm before that, and a probe of a process that only just starts may take a second.
            due = replica.warm_at is None and self._clock() - replica.launched_at >= self._cold_start
            if due and replica.process.ready():
                replica.warm_at = self._clock()
        for replica in self.leaving:
            self._see_off(replica)

    def seconds(self, begin: float, end: float) -> float:
        """Return for how long there were workers within that time, together."""
        return sum(max(0, min(each.ended_at or end, end) - max(each.launched_at, begin)) for each in self.all)

    def close(self) -> None:
        """Ask all to go, and wait until they have gone."""
        for replica in self._staying:
            replica.leaving_at = self._clock()
        stop_all([each.process for each in self.leaving], self._grace)
        for replica in self.leaving:
            self._see_off(replica)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def _staying(self) -> Sequence[Replica]:
        return [each for each in self.all if each.leaving_at is None]

    def _launch(self, count: int, *, cold_start: float) -> None:
        for number in range(len(self.all) + 1, len(self.all) + count + 1):
            process = self._new_worker(number, cold_start)
            self.all.append(Replica(process, number, self._clock()))
            process.launch()

    def _see_off(self, replica: Replica) -> None:
        assert replica.leaving_at is not None
        if replica.process.running and self._clock() - replica.leaving_at < self._grace:
            return
        replica.process.kill()  # with what it may have left
        replica.ended_at = self._clock()
        self.ended_badly += replica.process.exit_code != 0


def _goes_first(replica: Replica) -> tuple[bool, int]:
    """As a ReplicaSet orders its pods: what is not ready, then the youngest; it knows nothing of idle or busy."""
    return replica.warm_at is not None, -replica.number

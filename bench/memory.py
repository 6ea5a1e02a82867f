"""Watch how much memory processes have while they work."""

import statistics
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

SAMPLE_SECONDS = 0.25
MIB = 1 << 20


class MemoryWatch:
    """Within the context, samples the resident memory of some processes, each with all that it started."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.samples: dict[str, list[int]] = {name: [] for name in pids}  # bytes
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for name, pid in self._pids.items():
                self.samples[name].append(resident_bytes(pid))


def growth(samples: Sequence[int]) -> int:
    """Return how many bytes more a process had in the last fifth of the time than in the second; the first warms up."""
    fifth = len(samples) // 5
    return round(statistics.median(samples[-fifth:]) - statistics.median(samples[fifth : 2 * fifth]))


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and all that it started, shared pages counted in each."""
    total = 0
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/status").read_text()
        total = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += sum(resident_bytes(int(child)) for child in (thread / "children").read_text().split())
    return total

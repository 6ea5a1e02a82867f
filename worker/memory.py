"""How much memory a child has, and whether it has outgrown its limits."""

import os
from pathlib import Path

from worker.engine import Engine, MeasuresMemory
from worker.metrics import CHILD_MEMORY
from worker.settings import WorkerSettings

GIB = 1 << 30
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return this process's resident memory; 0 where the system does not tell it like Linux does."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def outgrown(settings: WorkerSettings, engine: Engine | None) -> str:
    """Return which limit the calling child is over, in words; empty if it is within them."""
    resident = resident_bytes()
    CHILD_MEMORY.set(resident)
    if _over(resident, settings.memory_limit_gib):
        return f"it has {resident / GIB:.2f} GiB of memory, over the limit of {settings.memory_limit_gib:g}"
    measured = engine.memory() if settings.gpu_memory_limit_gib and isinstance(engine, MeasuresMemory) else {}
    reserved = measured.get("reserved", 0)  # an engine on a CPU has nothing to tell
    if _over(reserved, settings.gpu_memory_limit_gib):
        return (
            f"it has reserved {reserved / GIB:.2f} GiB of its GPU, over the limit of {settings.gpu_memory_limit_gib:g}"
        )
    return ""


def _over(amount: int, limit_gib: float) -> bool:
    return bool(limit_gib) and amount > limit_gib * GIB

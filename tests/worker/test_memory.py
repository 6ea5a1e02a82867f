"""Whether a child has outgrown its limits."""

from tests.engines import ObedientEngine
from worker.memory import outgrown
from worker.settings import WorkerSettings


def test_an_engine_on_a_cpu_reserves_nothing_of_a_gpu() -> None:
    engine = ObedientEngine()
    engine.memory = dict[str, int]

    assert outgrown(WorkerSettings(gpu_memory_limit_gib=1), engine) == ""


def test_what_it_has_reserved_of_its_gpu_is_compared() -> None:
    engine = ObedientEngine()
    engine.memory = lambda: {"reserved": 3 << 29}

    assert outgrown(WorkerSettings(gpu_memory_limit_gib=2), engine) == ""
    assert "reserved 1.50 GiB of its GPU" in outgrown(WorkerSettings(gpu_memory_limit_gib=1), engine)

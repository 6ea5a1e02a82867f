"""Run a worker: `EMOTIVOICE_LANE=interactive python -m worker`."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable


def main(prepare: Callable[[], object] = lambda: None) -> None:
    """Run a worker until SIGTERM; `prepare` is called before anything of it is imported."""
    started_at = time.time()
    # prometheus-client reads this when it is imported; a folder left by a run before would be counted again.
    metrics_folder = tempfile.mkdtemp(prefix="emotivoice-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
    # Idle threads of an engine's OpenMP spin by default, which takes a core from whatever runs beside it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # numpy's matrices here are small: its threads wait for each other longer than they compute. To find out how to
    # speak like a clip took 30 s of two busy cores with them, and 7 s of one without.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    prepare()
    from worker.app import run
    from worker.settings import WorkerSettings

    try:
        run(WorkerSettings(), started_at=started_at)
    finally:
        shutil.rmtree(metrics_folder, ignore_errors=True)


if __name__ == "__main__":
    main()

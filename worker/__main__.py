"""Run a worker: `EMOTIVOICE_LANE=interactive python -m worker`."""

import os
import shutil
import tempfile
import time


def main() -> None:
    started_at = time.time()
    # prometheus-client reads this when it is imported; a folder left by a run before would be counted again.
    metrics_folder = tempfile.mkdtemp(prefix="emotivoice-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
    # Idle threads of an engine's OpenMP spin by default, which takes a core from whatever runs beside it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from worker.app import run
    from worker.settings import WorkerSettings

    try:
        run(WorkerSettings(), started_at=started_at)
    finally:
        shutil.rmtree(metrics_folder, ignore_errors=True)


main()

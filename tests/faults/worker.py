"""The real worker with holds in it: `python -m tests.faults.worker`."""

import os
import runpy
import tempfile

if __name__ == "__main__":
    # Before prometheus-client is imported, as worker/__main__.py does, which puts its own folder in the place of this.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.gettempdir()
    from tests.faults.holding import install

    install()
    runpy.run_module("worker", run_name="__main__")

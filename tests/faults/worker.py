"""The real worker with holds in it: `python -m tests.faults.worker`."""

import runpy

from tests.faults.holding import install

if __name__ == "__main__":
    install()
    runpy.run_module("worker", run_name="__main__")

"""What speaking the jobs of several messages together brings: `python -m bench.microbatching`.

One worker, a backlog of short jobs, the real service. The engine is a stand-in that waits: a batch costs 50 ms, and
5 ms more for each utterance. Compared are sizes of a batch, and ways to get several messages to one engine:

- alone: a batch size of 1, the worker as it is without micro-batching;
- basic.get: what the worker does, docs/decisions/0007-micro-batching.md;
- threads: Celery's thread pool, as many threads as a batch has utterances, over the same shared engine. It lacks what
  makes the worker safe: time limits, a child that can be replaced, heartbeats while it drains.
"""

import argparse
import os
import secrets
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench import jobs as jobs_api
from cli.stack.fleet import Fleet
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import free_ports, http_ok
from cli.stack.process import Command, Process
from shared.jobs import Lane

TEXT = "The quick brown fox jumps over the lazy dog."
ENGINE = {
    "EMOTIVOICE_ENGINE": "bench.engines:humming",
    "HUMMING_UTTERANCE_SECONDS": "0.05",
    "HUMMING_EXTRA_SECONDS": "0.005",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="jobs in each backlog")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 8, 16])
    options = parser.parse_args()
    os.environ.update(ENGINE)
    table = Table("way", "batch size", "backlog, jobs/s", "utterances in a call", "one at a time, ms")
    with tempfile.TemporaryDirectory() as folder, Fleet(Path(folder) / "stack") as fleet:
        fleet.workers[Lane.INTERACTIVE].stop()
        for size in options.sizes:
            for way in ("basic.get", "threads") if size > 1 else ("alone",):
                speed, together, alone = _measured(fleet, way, size, jobs=options.jobs)
                table.add_row(way, str(size), f"{speed:.1f}", f"{together:.1f}", f"{alone * 1000:.0f}")
    Console().print(table)


def _measured(fleet: Fleet, way: str, size: int, *, jobs: int) -> tuple[float, float, float]:
    """Return jobs per second of a backlog, utterances per call of the engine, and the median time of a lone job."""
    with httpx.Client(base_url=fleet.url, timeout=60, trust_env=False) as client:
        ids = [jobs_api.submit(client, text=f"{secrets.token_hex(4)} {TEXT}") for _ in range(jobs)]
        worker, port = _worker(fleet, way, size)
        worker.start()
        finished = [jobs_api.finished(client, job_id) for job_id in ids]
        together = _together(port) if way != "threads" else 0.0
        lone = [
            jobs_api.finished(client, jobs_api.submit(client, text=f"{secrets.token_hex(4)} {TEXT}")) for _ in range(30)
        ]
        worker.stop()
    started = min(jobs_api.timestamp(job["started_at"]) for job in finished)
    speed = jobs / (max(jobs_api.timestamp(job["finished_at"]) for job in finished) - started)
    return (
        speed,
        together,
        statistics.median(
            jobs_api.timestamp(job["finished_at"]) - jobs_api.timestamp(job["created_at"]) for job in lone
        ),
    )


def _worker(fleet: Fleet, way: str, size: int) -> tuple[Process, int]:
    (port,) = free_ports(1)
    settings = {"EMOTIVOICE_LANE": "interactive", "EMOTIVOICE_HEALTH_PORT": str(port), "HUMMING_BATCH_SIZE": str(size)}
    if way == "threads":
        return _process(fleet, "bench.threads_worker", {**settings, "THREADS": str(2 * size)}, None), port
    return _process(fleet, "worker", settings, port), port


def _process(fleet: Fleet, module: str, settings: Mapping[str, str], port: int | None) -> Process:
    environment = {**os.environ, **fleet.servers.environment(), **settings}
    name = f"bench-{secrets.token_hex(3)}"
    command = Command([sys.executable, "-m", module], fleet.servers.folder.log(name), environment, CODE_FOLDER)
    return Process(name, command, answers=lambda: http_ok(port, "/readyz")) if port else Process(name, command)


def _together(port: int) -> float:
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    values = {line.split()[0]: float(line.split()[1]) for line in page.splitlines() if not line.startswith("#")}
    return values["emotivoice_batch_size_sum"] / values["emotivoice_batch_size_count"]


if __name__ == "__main__":
    main()

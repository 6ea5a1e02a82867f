"""The service's own cost, as ratios to floors measured in the same run: `make bench`.

1. overhead: from just before the POST to the moment the job succeeded, less engine seconds, against one confirmed
   publish + consume of an empty Celery task + one S3 put of the same bytes; nobody looks at the job before it is
   done, since looking costs the same two cores; what a client that waits meets is shown too;
2. submissions per second of one gateway process, against a bare FastAPI endpoint that sends a confirmed task;
3. the share of time that a worker speaks while it has a backlog;
4. process start to ready.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from bench.figures import Figure, show
from bench.http_load import post_many
from bench.jobs import finished as finished_job
from bench.jobs import submit, timestamp
from bench.processes import command, environment, new_worker
from cli.stack.fleet import Fleet
from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Process
from shared.jobs import Lane
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings

TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon."
UTTERANCE_SECONDS = 0.2
UNSEEN_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="jobs for the overhead, one after another")
    parser.add_argument(
        "--submissions", type=int, default=2000, help="requests for the throughput, each side, each round"
    )
    parser.add_argument("--backlog", type=int, default=60, help="segments of 200 ms for the busy share")
    parser.add_argument("--output", type=Path, default=Path("bench/results/service.json"))
    options = parser.parse_args()
    os.environ["EMOTIVOICE_ENGINE"] = "bench.engines:humming"
    os.environ["EMOTIVOICE_INTERACTIVE_WINDOW"] = "0"  # a submission that is parked would not be enqueued
    with tempfile.TemporaryDirectory() as folder, _fleet(Path(folder)) as fleet:
        figures = [
            *overhead(fleet, jobs=options.jobs),
            *busy_share(fleet, segments=options.backlog),
            *throughput(fleet, submissions=options.submissions),
            *start_to_ready(fleet),
        ]
    show(figures, title="The service's own cost")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    options.output.write_text(
        json.dumps(machine | {"figures": [asdict(figure) for figure in figures]}, indent=1) + "\n"
    )
    sys.exit(any(figure.passed is False for figure in figures))


def overhead(fleet: Fleet, *, jobs: int) -> list[Figure]:
    """Jobs and floors in turn, so that a slow moment of the machine strikes both."""
    costs: list[float] = []
    heard: list[float] = []
    floors: list[float] = []
    with httpx.Client(base_url=fleet.url, timeout=60) as client, _empty_task(fleet) as run_empty_task:
        _job(client)  # warm: connections, scripts, threads
        size = _job(client)["result"]["bytes"]
        objects = _objects(fleet)
        run_empty_task()
        for _ in range(jobs):
            started = time.time()  # the record's clock
            job_id = submit(client, text=_new_text())
            time.sleep(UNSEEN_SECONDS)
            job = finished_job(client, job_id)
            costs.append(timestamp(job["finished_at"]) - started - job["usage"]["engine_seconds"])
            started = time.time()
            job = _job(client)
            heard.append(time.time() - started - job["usage"]["engine_seconds"])
            floors.append(run_empty_task() + _timed_put(objects, secrets.token_bytes(size)))
    p50, floor50 = statistics.median(costs), statistics.median(floors)
    p99, floor99 = _p99(costs), _p99(floors)
    ratio = p50 / floor50
    return [
        Figure("overhead p50", p50 * 1000, "ms"),
        Figure("overhead p99", p99 * 1000, "ms"),
        Figure("overhead p50, until a waiting client has the answer", statistics.median(heard) * 1000, "ms"),
        Figure("floor p50", floor50 * 1000, "ms"),
        Figure("floor p99", floor99 * 1000, "ms"),
        Figure("overhead to floor, p50", ratio, "times", "at most 2.0", ratio <= 2.0),
        Figure("overhead to floor, p99", p99 / floor99, "times"),
    ]


def throughput(fleet: Fleet, *, submissions: int) -> list[Figure]:
    """Ours and the bare endpoint in turn, workers stopped, three rounds; the best of each."""
    for worker in fleet.workers.values():
        worker.stop()
    (port,) = free_ports(1)
    bare = command(fleet, "bare", ["-m", "uvicorn", "bench.bare:app", "--port", str(port), "--log-level", "warning"])
    bare_process = Process("bare", bare, answers=lambda: http_ok(port, "/openapi.json"))
    ours: list[float] = []
    floor: list[float] = []
    bare_process.start()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(bare_process.stop)
        for number in range(4):
            url = f"http://{LOOPBACK}:{port}/jobs"
            floor.append(post_many(url, {"text": TEXT}, requests=submissions, connections=16).per_second)
            load = post_many(f"{fleet.url}/v1/jobs", {"text": TEXT}, requests=submissions, connections=16)
            if load.failures:
                raise SystemExit(f"{load.failures} of {load.requests} submissions failed")
            ours.append(load.per_second)
            if number == 0:  # warm-up
                ours.clear()
                floor.clear()
    ratio = statistics.median(one / other for one, other in zip(ours, floor, strict=True))
    return [
        Figure("submissions", statistics.median(ours), "/s"),
        Figure("bare FastAPI + confirmed task", statistics.median(floor), "/s"),
        Figure("submissions to bare", ratio, "times", "at least 0.8", ratio >= 0.8),
    ]


def busy_share(fleet: Fleet, *, segments: int) -> list[Figure]:
    """Engine seconds over the time from the first start to the last finish, on one worker with a backlog."""
    fleet.workers[Lane.INTERACTIVE].stop()
    with httpx.Client(base_url=fleet.url, timeout=60) as client:
        ids = [submit(client, text=f"{number}: {TEXT}") for number in range(segments)]
        with environment(HUMMING_UTTERANCE_SECONDS=str(UTTERANCE_SECONDS)):
            slow = new_worker(fleet, "slow")
        slow.start()
        finished = [finished_job(client, job_id) for job_id in ids]
        slow.stop()
    fleet.workers[Lane.INTERACTIVE].start()
    engine = sum(job["usage"]["engine_seconds"] for job in finished)
    started, ended = (min if name == "started_at" else max for name in ("started_at", "finished_at"))
    span = timestamp(ended(job["finished_at"] for job in finished)) - timestamp(
        started(job["started_at"] for job in finished)
    )
    share = engine / span
    return [Figure("worker busy with 200 ms segments", share, "share", "at least 0.9", share >= 0.9)]


def start_to_ready(fleet: Fleet) -> list[Figure]:
    """A worker of each engine, from its process's start to its first message, three times each."""
    figures: list[Figure] = []
    for engine in ("bench.engines:humming", "builtin"):
        with environment(EMOTIVOICE_ENGINE=engine):
            seconds = [_start_seconds(new_worker(fleet, "starting")) for _ in range(3)]
        figures.append(Figure(f"start to ready, {engine.split(':')[-1]}", statistics.median(seconds), "s"))
    return figures


def _start_seconds(worker: Process) -> float:
    started = time.perf_counter()
    worker.start()
    seconds = time.perf_counter() - started
    worker.stop()
    return seconds


@contextlib.contextmanager
def _fleet(folder: Path) -> Generator[Fleet]:
    with Fleet(folder / "stack") as fleet:
        yield fleet


@contextlib.contextmanager
def _empty_task(fleet: Fleet) -> Generator[Any]:
    """Yield a function that sends an empty task and returns the seconds until it ran."""
    os.environ["EMOTIVOICE_BROKER_URL"] = fleet.servers.environment()["EMOTIVOICE_BROKER_URL"]
    from bench.bare import QUEUE, celery_app

    arguments = ["-m", "celery", "--quiet", "-A", "bench.bare:celery_app", "worker", "-P", "prefork", "-c", "1"]
    arguments += ["-Q", QUEUE.name, "--without-gossip", "--without-mingle", "-l", "WARNING"]
    worker = Process("empty", command(fleet, "empty", arguments))
    worker.start()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"{folder}/told")
        told.settimeout(60)

        def run() -> float:
            started = time.perf_counter()
            celery_app.send_task("bare", (f"{folder}/told",), mandatory=True)  # pyright: ignore[reportUnknownMemberType]
            told.recv(16)
            return time.perf_counter() - started

        try:
            yield run
        finally:
            worker.stop()


def _job(client: httpx.Client) -> dict[str, Any]:
    return finished_job(client, submit(client, text=_new_text()))


def _new_text() -> str:
    """Return a text that was never spoken before."""
    return f"{secrets.token_hex(4)} {TEXT}"


def _objects(fleet: Fleet) -> S3ObjectStore:
    with environment(**fleet.servers.environment()):
        return S3ObjectStore(SharedSettings())


def _timed_put(objects: S3ObjectStore, data: bytes) -> float:
    started = time.perf_counter()
    objects.put(f"bench/{secrets.token_hex(8)}", io.BytesIO(data), length=len(data), content_type="audio/wav")
    return time.perf_counter() - started


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    main()

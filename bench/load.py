"""A long queue: memory stays flat, and what clients are told of their place comes true. `python -m bench.load`

Jobs are submitted one after another while nobody works; then four workers start, whose engine takes 250 ms for each.

1. memory: how much more the gateway and each worker have in the last fifth of the time than in the second (the first
   is for warming up), with all that they started;
2. the position in the queue, asked again and again for jobs near, midway and far, against the number of jobs that then
   started before them;
3. the expected time until the audio is there, asked in the same moment, against the time that it then took.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.figures import Figure, show
from bench.jobs import finished, submit, timestamp
from bench.memory import MIB, MemoryWatch, growth
from bench.processes import environment, new_worker
from cli.stack.fleet import Fleet
from cli.stack.process import wait_ready
from shared.jobs import Lane

WORKERS = 4
UTTERANCE_SECONDS = 0.25  # so long that the work of 4 workers fits on 2 cores
WARM_JOBS = 100  # after which the lane's speed is that of all workers
NEAR_JOBS = 100  # nearer than that, a moment's chance is too large a part of what is left
SHARES = (0.25, 0.55, 0.95)  # of the queue: near, midway, far
ROUNDS = 40

MOST_GROWTH_MIB = 4.0
MOST_ETA_ERROR = 0.2


@dataclass(frozen=True)
class Told:
    """What a client was told of a job that waited."""

    job_id: str
    asked_at: float  # Unix seconds
    answered_at: float
    position: int
    eta_seconds: float


@dataclass(frozen=True)
class Ran:
    """When a job started and was finished, in Unix seconds."""

    started_at: float
    finished_at: float


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000, help="how many (%(default)s, about 14 minutes)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), jobs=options.jobs)
    show(figures, title=f"A queue of {options.jobs} jobs, {WORKERS} workers")
    sys.exit(any(figure.passed is False for figure in figures))


def measured(folder: Path, *, jobs: int) -> list[Figure]:
    """Queue so many jobs, work them off, and return every figure."""
    engine = environment(EMOTIVOICE_ENGINE="bench.engines:humming", HUMMING_UTTERANCE_SECONDS=str(UTTERANCE_SECONDS))
    with engine, Fleet(folder / "stack") as fleet, httpx.Client(base_url=fleet.url, timeout=60) as client:
        fleet.workers[Lane.INTERACTIVE].stop()
        with MemoryWatch({"gateway, accepting": fleet.gateway.pid}) as accepting:
            started = time.monotonic()
            ids = [submit(client, text=f"Job {number}.") for number in range(jobs)]
            seconds = time.monotonic() - started
        with ExitStack() as stack:
            pids = {"gateway, answering": fleet.gateway.pid, **_started_workers(fleet, stack)}
            with MemoryWatch(pids) as working:
                told = list(asked(client, ids))
                for job_id in ids[-WORKERS:]:
                    finished(client, job_id)
        ran = all_ran(client)
    span = max(job.finished_at for job in ran.values()) - min(job.started_at for job in ran.values())
    return [
        Figure("accepted, one after another", jobs / seconds, "/s"),
        Figure("finished", jobs / span, "/s"),
        Figure("finished, of those accepted", len(ran), "jobs", f"{jobs}", len(ran) == jobs),
        *memory_figures(accepting.samples | working.samples),
        *place_figures(told, ran),
    ]


def _started_workers(fleet: Fleet, stack: ExitStack) -> dict[str, int]:
    """Start the workers, which are stopped at the end of the stack; return their process ids."""
    workers = [new_worker(fleet, f"worker {number}") for number in range(1, WORKERS + 1)]
    for worker in workers:
        stack.callback(worker.stop)
        worker.launch()
    wait_ready(workers)
    return {worker.name: worker.pid for worker in workers}


def asked(client: httpx.Client, ids: Sequence[str]) -> Iterable[Told]:
    """Ask for jobs near, midway and far, again and again until few are left; `ids` are in the order of submission."""
    pause = len(ids) * UTTERANCE_SECONDS / WORKERS / ROUNDS
    while (waiting := _place(client, ids[-1]).get("position") or 0) > NEAR_JOBS / SHARES[0]:
        if len(ids) - waiting >= WARM_JOBS:
            for share in SHARES:
                job_id = ids[len(ids) - waiting + int(share * waiting)]
                asked_at = time.time()
                place = _place(client, job_id)
                yield Told(job_id, asked_at, time.time(), place["position"], place["eta_seconds"])
        time.sleep(pause)


def _place(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return client.get(f"/v1/jobs/{job_id}").raise_for_status().json()["queue"] or {}


def all_ran(client: httpx.Client) -> dict[str, Ran]:
    """Return every job that has succeeded."""
    found: dict[str, Ran] = {}
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v1/jobs", params={"state": "succeeded", "limit": 100, **cursor}).raise_for_status().json()
        for job in page["jobs"]:
            found[job["id"]] = Ran(timestamp(job["started_at"]), timestamp(job["finished_at"]))
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def memory_figures(samples: Mapping[str, Sequence[int]]) -> list[Figure]:
    figures: list[Figure] = []
    for name, amounts in samples.items():
        grown = growth(amounts) / MIB
        bar = f"at most {MOST_GROWTH_MIB:g}"
        figures += [
            Figure(f"memory of {name}, median", statistics.median(amounts) / MIB, "MiB"),
            Figure(f"memory of {name}, growth", grown, "MiB", bar, grown <= MOST_GROWTH_MIB),
        ]
    return figures


def place_figures(told: Sequence[Told], ran: Mapping[str, Ran]) -> list[Figure]:
    """Compare what was told with what happened then."""
    starts = [job.started_at for job in ran.values()]
    positions = [_position_error(one, ran[one.job_id], starts) for one in told]
    etas = [one.eta_seconds / (ran[one.job_id].finished_at - one.answered_at) for one in told]
    errors = [abs(eta - 1) for eta in etas]
    wrong = statistics.quantiles(errors, n=10)[8]
    return [
        Figure("asked", len(told), "times"),
        Figure("position, largest error", max(positions), "jobs", f"at most {WORKERS}", max(positions) <= WORKERS),
        Figure("ETA to what it took, median", statistics.median(etas), "times"),
        Figure("ETA, smallest", min(etas), "times"),
        Figure("ETA, largest", max(etas), "times"),
        Figure("ETA, error of nine in ten", wrong, "share", f"at most {MOST_ETA_ERROR:g}", wrong <= MOST_ETA_ERROR),
    ]


def _position_error(told: Told, ran: Ran, starts: Sequence[float]) -> int:
    """Return by how many jobs the position was wrong; what started while it was asked may count or not."""
    before = [started for started in starts if told.asked_at <= started < ran.started_at]
    most, least = len(before), sum(started > told.answered_at for started in before)
    return max(told.position - 1 - most, least - (told.position - 1), 0)


if __name__ == "__main__":
    main()

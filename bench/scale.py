"""A burst, met by real workers that KEDA's rules start and stop: `python -m bench.scale`, about seven minutes.

Jobs come at 2 a second, and from second 60 on at 35, through the gateway and RabbitMQ. The rules are those of planner/,
on k8s/keda/scaledobject-worker-interactive.yaml, on the clock of the wall: every 15 s a sync of the HPA, whose metric
comes from RabbitMQ's management API and from the gateway's metrics, scraped every 15 s. What they want is done:
processes are started, which take a while until they are warm, or get SIGTERM and finish what they have in hand. An
engine takes 0.2 s for each job and computes nothing. The day is a Monday, the time 10:00: the floor of 2 holds.

Beside each figure stands what the planner's simulation says of the same jobs.
"""

import argparse
import json
import math
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.figures import Figure, show
from bench.open_loop import Answer, OpenLoop, Post
from bench.processes import environment, new_worker
from bench.readings import Readings
from bench.replicas import NewWorker, Replicas
from bench.scale_figures import Look, Run, counted, figures, show_timeline
from cli.stack.fleet import Fleet
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import free_ports
from cli.stack.process import Process
from planner import engine_seconds, manifest, trace
from planner.events import Events
from planner.hpa import SYNC_SECONDS, Autoscaler, Policy, PolicyType, Rules
from planner.keda import Keda, Reading
from planner.report import finite
from planner.scaled_object import Busy, ScaledObject
from planner.simulation import SCRAPE_SECONDS, World, replicas_at_rest, simulate
from planner.supply import Supply
from planner.trace import Trace
from shared.jobs import Lane

MANIFEST = CODE_FOLDER / "k8s" / "keda" / "scaledobject-worker-interactive.yaml"
TEXT = "The quick brown fox jumps over the lazy dog, and sleeps until noon."  # 4 s, as the engine hums it
WATCH_SECONDS = 0.5  # how often workers are asked whether they are warm
GRACE_SECONDS = 30.0  # a job takes 0.2 s
LATE_SECONDS = 120.0  # how long after the load what waits may still be worked on
START_SECONDS = 120.0  # how much longer than its cold start a worker may take on a busy machine
MOST_WORKERS = 150  # that are started in one run
STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Case:
    """The load, and what it meets. Rates are in jobs per second, times in seconds."""

    before: float = 2
    burst: float = 35
    burst_at: float = 60
    burst_seconds: float = 240
    engine: float = 0.2
    cold_start: float = 20
    begins: datetime = datetime(2026, 1, 5, 10)
    watched: float = 0  # after the last job
    seed: int = 1

    @property
    def pattern(self) -> str:
        return f"{self.before:g} rps for {self.burst_at:g} s, {self.burst:g} rps for {self.burst_seconds:g} s"


# By night, when one worker is there. With this seed the HPA looks at 15, 30 and 45 s. At the first look KEDA is told
# what was 5 to 10 s before, which is in the burst; at the last all is over.
QUICK = Case(2, 10, burst_at=2, burst_seconds=12, cold_start=4, begins=datetime(2026, 1, 5), watched=34, seed=4)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--burst", type=float, default=35, help="jobs a second after second 60 (%(default)s)")
    parser.add_argument("--seconds", type=float, default=240, help="how long the burst lasts (%(default)s)")
    parser.add_argument("--cold-start", type=float, default=20, help="seconds, at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals, and of the looks' moments (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a minute's run that shows the mechanics, no more")
    parser.add_argument("--output", type=Path, default=Path("bench/results/scale.json"))
    options = parser.parse_args()
    case = Case(burst=options.burst, burst_seconds=options.seconds, cold_start=options.cold_start, seed=options.seed)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # everything is stopped as on Ctrl-C
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(Path(folder), QUICK if options.quick else case, quick=options.quick, output=options.output)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(any(figure.passed is False for figure in found))


def measured(folder: Path, case: Case, *, quick: bool = False, output: Path) -> list[Figure]:
    """Run the case, print and write what came of it, and return the figures."""
    scaled = quickly(shipped()) if quick else shipped()
    seconds, rng = engine_seconds.parse(f"{case.engine:g}"), np.random.default_rng(case.seed)
    load = trace.from_pattern(case.pattern, seconds, rng=rng)
    rng = np.random.default_rng([case.seed, 1])  # as `emotivoice plan` does
    world = World(
        Supply(case.cold_start, grace_seconds=GRACE_SECONDS),
        case.begins,
        SYNC_SECONDS * rng.random(),
        scaled.polling_seconds * rng.random(),
    )
    simulated = simulate(scaled, load, world)
    run = played(folder, case, scaled, load, world)
    found = figures(run, load, simulated, burst_at=case.burst_at, bars=not quick)
    show_timeline(run, simulated.samples, load)
    show(found, title=f"{case.pattern}, seed {case.seed}")
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    output.parent.mkdir(parents=True, exist_ok=True)
    timeline = [asdict(look) | dict(zip(("waited", "held"), counted(run, look.at), strict=True)) for look in run.looks]
    simulation = {"changes": simulated.changes, "timeline": [asdict(sample) for sample in simulated.samples]}
    result = machine | {
        "case": asdict(case) | {"begins": case.begins.isoformat()},
        "figures": [asdict(figure) for figure in found],
        "changes": run.changes,
        "warm_at": sorted(run.warm_at),
        "timeline": timeline,
        "simulated": simulation,
    }
    output.write_text(json.dumps(finite(result), indent=1) + "\n")
    return found


def shipped() -> ScaledObject:
    (scaled,) = manifest.load(MANIFEST)
    if any(isinstance(each, Busy) for each in scaled.triggers):
        raise SystemExit("the lane now has a trigger on workers at work, which this bench does not read")
    return scaled


def quickly(scaled: ScaledObject) -> ScaledObject:
    """Return the same for a minute's run: few workers, and who is not needed goes at the next look."""
    down = Rules(0, (Policy(PolicyType.PERCENT, 100, 15),))
    return replace(scaled, limits=replace(scaled.limits, max_replicas=4, down=down))


def played(folder: Path, case: Case, scaled: ScaledObject, load: Trace, world: World) -> Run:
    """Run the case with real processes, all of which are stopped in the end."""
    settings = {
        "EMOTIVOICE_ENGINE": "bench.engines:humming",
        "HUMMING_UTTERANCE_SECONDS": f"{case.engine:g}",
        "EMOTIVOICE_GRACE_SECONDS": f"{GRACE_SECONDS:g}",
    }
    posts = [Post(at, {"text": f"{number}: {TEXT}"}) for number, at in enumerate(load.arrivals.tolist(), start=1)]
    with environment(**settings), Fleet(folder / "stack", rabbitmq=True, management=True) as fleet:
        for worker in fleet.workers.values():  # they have told the gateway their voices; the lane gets its own
            worker.stop()
        with (
            Replicas(_worker_maker(fleet), cold_start_seconds=case.cold_start, grace_seconds=GRACE_SECONDS) as replicas,
            Readings(fleet, Lane.INTERACTIVE) as readings,
            OpenLoop(f"{fleet.url}/v1/jobs", posts) as loop,
            httpx.Client(base_url=fleet.url, timeout=60, trust_env=False) as client,
        ):
            replicas.begin(replicas_at_rest(scaled, case.begins))
            scaling = Scaling(scaled, world, replicas, readings)
            loop.start(scaling.began)

            scaling.run(lambda: loop.over and not _any_open(client), until=load.duration, watched=case.watched)
            return scaling.outcome(load.duration, loop.answers, _all_jobs(client))


class Scaling:
    """KEDA and the HPA of planner/, whose hours go by the clock of the wall."""

    def __init__(self, scaled: ScaledObject, world: World, replicas: Replicas, readings: Readings) -> None:
        self.began, self._began_at = time.monotonic(), time.time()
        self._world, self._replicas, self._readings = world, replicas, readings
        self._keda, self._autoscaler = Keda(scaled), Autoscaler(scaled.limits)
        self._oldest = 0.0
        self._cores = _Cores()
        self._looks = list[Look]()
        self._changes = [(0.0, replicas.wanted)]
        self._events = Events()
        self._events.every(WATCH_SECONDS, replicas.look, first=0)
        self._events.every(SCRAPE_SECONDS, self._scrape, first=0)
        self._events.every(scaled.polling_seconds, self._poll, first=world.poll_phase)
        self._events.every(SYNC_SECONDS, self._sync, first=world.sync_phase)

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def run(self, over: Callable[[], bool], *, until: float, watched: float) -> None:
        """Scale until the load has ended, it is all over, and so many seconds more; at most for LATE_SECONDS."""
        over_at: float | None = None
        while self.now < (until + LATE_SECONDS if over_at is None else over_at + watched):
            if over_at is None and self.now >= until and over():
                over_at = self.now
            time.sleep(max(0, self._events.next_at - self.now))
            self._events.step()

    def outcome(self, duration: float, answers: Sequence[Answer | None], jobs: Mapping[str, Any]) -> Run:
        """Return what has happened until now, and what came of the load."""
        replicas, began = self._replicas, self.began
        return Run(
            self._looks,
            self._changes,
            [each.warm_at - began for each in replicas.all if each.warm_at is not None],
            [each.warm_at - each.launched_at for each in replicas.all if each.warm_at and each.launched_at > began],
            replicas.seconds(began, began + duration),
            replicas.ended_badly,
            answers,
            jobs,
            self._began_at,
        )

    def _scrape(self) -> None:
        self._oldest = self._readings.oldest_seconds()

    def _poll(self) -> None:
        now, current = self._events.now, self._replicas.wanted
        self._scale(self._keda.poll(now, self._reading(), current=current))

    def _sync(self) -> None:
        now, current = self._events.now, self._replicas.wanted
        late, reading = self.now - now, self._reading()
        metrics = self._keda.metrics(now, reading, current=current)
        self._scale(self._autoscaler.sync(now, current=current, metrics=metrics, ready=self._replicas.warm))
        metric = metrics[0].value if metrics[0] else None
        messages = reading.ready, reading.taken, reading.oldest_seconds
        replicas = self._replicas.wanted, self._replicas.warm
        self._looks.append(Look(now, late, *messages, metric, *replicas, self._cores.busy()))

    def _scale(self, count: int) -> None:
        if count != self._replicas.wanted:
            self._changes.append((self.now, count))
            self._replicas.scale(count)

    def _reading(self) -> Reading:
        messages = self._readings.messages()
        ready, taken = messages or (0, 0)
        clock = self._world.begins + timedelta(seconds=self.now)
        return Reading(ready, taken, ready, self._oldest, clock, broker_answers=messages is not None)


class _Cores:
    """How busy the machine's cores are, whoever uses them."""

    def __init__(self) -> None:
        self._before = self._times()

    def busy(self) -> float:
        """Return the share of the time since the call before; NaN where the kernel does not tell."""
        now = self._times()
        (busy, total), self._before = (now[0] - self._before[0], now[1] - self._before[1]), now
        return busy / total if total else math.nan

    def _times(self) -> tuple[int, int]:
        if not STAT.exists():
            return 0, 0
        user, nice, system, idle, iowait, *others = (int(each) for each in STAT.read_text().split()[1:9])
        total = user + nice + system + idle + iowait + sum(others)
        return total - idle - iowait, total


def _worker_maker(fleet: Fleet) -> NewWorker:
    ports = iter(free_ports(MOST_WORKERS))

    def new(number: int, cold_start: float) -> Process:
        with environment(HUMMING_LOADED_AT=str(time.time() + cold_start)):
            worker = new_worker(fleet, f"worker {number}", port=next(ports))
        worker.ready_seconds = cold_start + START_SECONDS
        return worker

    return new


def _any_open(client: httpx.Client) -> bool:
    return any(_page(client, state=state, limit=1)["jobs"] for state in ("queued", "running"))


def _all_jobs(client: httpx.Client) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    cursor: dict[str, Any] = {}
    while True:
        page = _page(client, limit=100, **cursor)
        found |= {job["id"]: job for job in page["jobs"]}
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def _page(client: httpx.Client, **query: Any) -> dict[str, Any]:
    return client.get("/v1/jobs", params=query).raise_for_status().json()


if __name__ == "__main__":
    main()

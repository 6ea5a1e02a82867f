"""A book over several workers: `python -m bench.book`; `--short` for a try.

A text of 300,000 characters (about six hours of speech), 40 % of it one chapter, is spoken on real RabbitMQ, Redis and
S3 by an engine that waits a fixed share of the time that its speech lasts. Each run has another text, of which nothing
is known yet.

1. Wall time to the last segment with 1, 2 and 4 workers of the bulk lane, and the efficiency: time of one worker, by
   the number of workers times theirs.
2. From the last segment to the finished M4B, for each hour of audio: in the run with the most workers.
3. Peak memory of each process, with all that it started.
4. kill -9 of every worker, the sweeper and all servers at 50 %, started again: how much was spoken twice.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.figures import Figure, show
from bench.memory import MIB, MemoryWatch
from bench.processes import environment
from bench.prose import chapters
from bench.shelf import Shelf
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import free_ports, http_ok
from cli.stack.process import Command, Process, kill_all, stop_all, wait_ready
from cli.stack.servers import LocalServers
from shared.books import BookState
from shared.jobs import JobKind
from shared.settings import SharedSettings

CHAPTERS = 12
FIRST_SHARE = 0.4
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 1800.0
BARS = {"efficiency": 0.9, "memory": 400.0, "repeated": 0.01}


@dataclass(frozen=True)
class Run:
    """What one run has shown."""

    workers: int
    segments: int
    speaking_seconds: float  # to the last segment
    edition_seconds: float | None  # from there to the M4B, where one was waited for
    audio_hours: float
    peak_mib: dict[str, float]
    repeated: float  # share of the utterances


class Stack:
    """Servers, workers and a sweeper."""

    def __init__(self, folder: Path, *, workers: int, assembly: int, real_time_factor: float) -> None:
        self.servers = LocalServers(folder)
        self.notes = folder / "notes"
        self.notes.touch()
        engine = {
            "EMOTIVOICE_ENGINE": "bench.engines:waiting",
            "WAITING_REAL_TIME_FACTOR": str(real_time_factor),
            "WAITING_NOTES": str(self.notes),
        }
        bulk = [self._worker("bulk", n, engine) for n in range(workers)]
        self.ours = [*bulk, *(self._worker("assembly", n, {}) for n in range(assembly)), self._sweeper()]

    def _worker(self, lane: str, number: int, settings: Mapping[str, str]) -> Process:
        return self._process(f"{lane} {number + 1}", "worker", {"EMOTIVOICE_LANE": lane, **settings}, "HEALTH_PORT")

    def _sweeper(self) -> Process:
        quick = {"EMOTIVOICE_SWEEP_SECONDS": "2", "EMOTIVOICE_PATIENCE_SECONDS": "15"}
        return self._process("sweeper", "sweeper", quick, "SWEEPER_HEALTH_PORT")

    def _process(self, name: str, module: str, settings: Mapping[str, str], port_name: str) -> Process:
        (port,) = free_ports(1)
        settings = {**settings, f"EMOTIVOICE_{port_name}": str(port)}
        return Process(name, self._command(name, ["-m", module], settings), answers=lambda: http_ok(port, "/readyz"))

    def _command(self, name: str, arguments: Sequence[str], settings: Mapping[str, str]) -> Command:
        variables = {**os.environ, **self.servers.environment(), **settings}
        log = self.servers.folder.log(name.replace(" ", "-"))
        # In a fleet the encoders have processors of their own; here the speakers come first.
        first = ["nice", "-n", "10"] if name.startswith("assembly") else []
        return Command([*first, sys.executable, *arguments], log, variables, CODE_FOLDER)

    def start(self) -> None:
        self.servers.start()
        init = Process("init", self._command("init", ["-m", "cli", "init", "--wait", "20"], {}))
        init.launch()
        init.finish()
        self.start_ours()

    def start_ours(self) -> None:
        for process in self.ours:
            process.launch()
        wait_ready(self.ours)

    def kill_and_start(self) -> None:
        """End everything at once, and start it again on the same data."""
        kill_all([*self.ours, *self.servers.processes])
        self.servers.launch()
        wait_ready(self.servers.processes)
        self.start_ours()

    def stop(self) -> None:
        stop_all(self.ours, 5)
        self.servers.kill()


def run(options: argparse.Namespace, *, workers: int, seed: int, kill: bool = False) -> Run:
    """Speak one book on a stack of its own; with the most workers, also wait for its M4B."""
    edition = workers == max(options.workers) and not kill
    text = chapters(options.characters, count=CHAPTERS, seed=seed, first_share=FIRST_SHARE)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder) / "stack",
            workers=workers,
            assembly=options.assembly,
            real_time_factor=options.real_time_factor,
        )
        try:
            stack.start()
            with environment(**stack.servers.environment()):
                return _run(stack, Shelf(SharedSettings()), text, workers, edition=edition, kill=kill)
        finally:
            stack.stop()


def _run(  # noqa: PLR0913 - one call site
    stack: Stack, shelf: Shelf, text: list[tuple[str, str]], workers: int, *, edition: bool, kill: bool
) -> Run:
    book_id = shelf.add(text)
    watch = MemoryWatch({process.name: process.pid for process in stack.ours})
    with watch:
        began = time.monotonic()
        shelf.render(book_id, "m4b")
        if kill:
            _until(lambda: _share_done(shelf, book_id) >= 0.5)
            stack.kill_and_start()
        _until(lambda: _share_done(shelf, book_id) >= 1)
        spoken = time.monotonic()
        if edition:
            _until(lambda: _is_done(shelf, book_id))
        made = time.monotonic()
    notes = stack.notes.read_text().splitlines()
    return Run(
        workers=workers,
        segments=shelf.spoken_segments(book_id),
        speaking_seconds=spoken - began,
        edition_seconds=made - spoken if edition else None,
        audio_hours=shelf.edition(book_id, "m4b").seconds / 3600 if edition else 0.0,
        peak_mib={name: max(samples, default=0) / MIB for name, samples in watch.samples.items()},
        repeated=(len(notes) - len(set(notes))) / len(set(notes)),
    )


def _share_done(shelf: Shelf, book_id: str) -> float:
    jobs = [job for job in shelf.jobs(book_id).values() if job and job.kind is JobKind.CHAPTER]
    if len(jobs) < CHAPTERS or not all(job.segments_total for job in jobs):
        return 0.0
    return sum(job.segments_done for job in jobs) / sum(job.segments_total for job in jobs)


def _is_done(shelf: Shelf, book_id: str) -> bool:
    state = shelf.state(book_id)
    if state is BookState.FAILED:
        raise RuntimeError(f"the book has failed: {shelf.jobs(book_id)}")
    return state is BookState.SUCCEEDED


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {LONGEST_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)


def figures(runs: Sequence[Run], resumed: Run | None) -> list[Figure]:
    """Return the table."""
    (one, *more) = runs
    found = [Figure("segments", one.segments, "")]
    found += [Figure(f"to the last segment, {each.workers} workers", each.speaking_seconds, "s") for each in runs]
    for each in more:
        efficiency = one.speaking_seconds / each.speaking_seconds / each.workers * one.workers
        held = efficiency >= BARS["efficiency"] if each.workers >= 4 else None
        bar = f"at least {BARS['efficiency']}" if each.workers >= 4 else ""
        found.append(Figure(f"efficiency, {each.workers} workers", efficiency, "", bar, held))
    for each in runs:
        if each.edition_seconds is not None:
            found += [Figure("hours of audio", each.audio_hours, "h")]
            found += [Figure("last segment to M4B, per audio hour", each.edition_seconds / each.audio_hours, "s")]
    for name in runs[-1].peak_mib:
        peak = max(each.peak_mib.get(name, 0) for each in (*runs, *([resumed] if resumed else [])))
        bar = f"under {BARS['memory']:g}" if name.startswith("assembly") else ""
        found.append(Figure(f"peak memory, {name}", peak, "MiB", bar, peak < BARS["memory"] if bar else None))
    if resumed:
        held = resumed.repeated < BARS["repeated"]
        found.append(Figure("spoken twice after kill -9 at 50 %", 100 * resumed.repeated, "%", "under 1", held))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=300_000)
    parser.add_argument("--real-time-factor", type=float, default=0.04, help="of the engine")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="of the bulk lane, one run each")
    parser.add_argument("--assembly", type=int, default=1, help="workers of the assembly lane")
    parser.add_argument("--short", action="store_true", help="30,000 characters, 1 and 2 workers")
    parser.add_argument("--no-kill", action="store_true", help="leave the run out in which everything is killed")
    parser.add_argument("--output", type=Path, default=Path("bench/results/book.json"))
    options = parser.parse_args()
    if options.short:
        options.characters, options.workers = 30_000, [1, 2]
    runs = [run(options, workers=count, seed=number) for number, count in enumerate(options.workers)]
    resumed = None if options.no_kill else run(options, workers=max(options.workers), seed=99, kill=True)
    found = figures(runs, resumed)
    show(found, title=f"A book of {options.characters:,} characters, real-time factor {options.real_time_factor:g}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.machine(), "cores": os.cpu_count()}
    everything = [*runs, *([resumed] if resumed else [])]
    options.output.write_text(
        json.dumps({"on": machine, "runs": [asdict(each) for each in everything]}, indent=1) + "\n"
    )
    sys.exit(any(figure.passed is False for figure in found))


if __name__ == "__main__":
    main()

"""What a segment costs in a book of thousands: `python -m bench.long_book --segments 5000 --chapters 1`.

A book is spoken to its end, an M4B and subtitles, on real RabbitMQ, Redis and S3. Its engine hums each paragraph for a
fraction of a second, and pauses have no length: what takes time is to plan, hand out, store, record and join. If one
segment costs more in a longer book, the last fifth of the segments takes longer than the first.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.book import Stack
from bench.figures import Figure, show
from bench.processes import environment
from bench.shelf import Shelf
from cli.stack.process import Process
from shared.books import BookState, Voicing
from shared.jobs import JobKind
from shared.settings import SharedSettings

BRIEF = Voicing("hum", speed=30.0, pause_scale=0.0)
FORMATS = ("m4b", "srt")
WORDS = "the keeper of the light walked down to the river before anybody was awake"  # of a paragraph
LOOK_SECONDS = 0.25
LONGEST_SECONDS = 1800.0


@dataclass
class Course:
    """When how much was done, in seconds from the render's beginning."""

    done: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])  # segments
    planned: float = 0.0
    joined: float = 0.0
    made: float = 0.0

    def at(self, segments: float) -> float:
        """Return when so many segments were done."""
        return next(seconds for seconds, count in self.done if count >= segments)


def long_book(segments: int, *, chapters: int, mark: str) -> list[tuple[str, str]]:
    """Return titles and texts of so many paragraphs in all, which nobody has spoken yet."""
    counts = [segments // chapters + (number < segments % chapters) for number in range(chapters)]
    return [
        (f"Chapter {number}", "\n\n".join(_paragraphs(f"{mark} {number}", count)))
        for number, count in enumerate(counts, 1)
    ]


def _paragraphs(mark: str, count: int) -> Iterator[str]:
    for number in range(count):
        yield f"In chapter {mark}, on page {number}, {WORDS}."


def watch(shelf: Shelf, book_id: str, *, segments: int, chapters: int) -> Course:
    """Look at a book until it is done."""
    course, began = Course(), time.monotonic()
    while not course.made:
        jobs = [job for job in shelf.jobs(book_id).values() if job and job.kind is JobKind.CHAPTER]
        state, seconds = shelf.state(book_id), time.monotonic() - began
        course.done.append((seconds, sum(job.segments_done for job in jobs)))
        if not course.planned and sum(job.segments_total for job in jobs) == segments:
            course.planned = seconds
        if not course.joined and len(jobs) == chapters and all(job.finished for job in jobs):
            course.joined = seconds
        if state is BookState.SUCCEEDED:
            course.made = seconds
        if state is BookState.FAILED or seconds > LONGEST_SECONDS:
            raise RuntimeError(f"the book is {state} after {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)
    return course


def cpu_seconds(pid: int) -> float:
    """Return what a process and those that it started have used of a CPU."""
    total = 0.0
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += sum(cpu_seconds(int(child)) for child in (thread / "children").read_text().split())
    return total


def run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    stack = Stack(folder, workers=options.workers, assembly=1, real_time_factor=0.0)
    processes: list[Process] = [*stack.ours, *stack.servers.processes]
    try:
        stack.start()
        with environment(**stack.servers.environment()):
            shelf = Shelf(SharedSettings())
        text = long_book(options.segments, chapters=options.chapters, mark="of the keeper")
        book_id = shelf.add(text, voicing=BRIEF)
        before = {one.name: cpu_seconds(one.pid) for one in processes}
        shelf.render(book_id, *FORMATS)
        course = watch(shelf, book_id, segments=options.segments, chapters=options.chapters)
        used = {one.name: cpu_seconds(one.pid) - before[one.name] for one in processes}
        notes = stack.notes.read_text().splitlines()
    finally:
        stack.stop()
    return [*figures(course, options.segments), Figure("spoken", len(set(notes)), ""), *_cpu(used, options.segments)]


def figures(course: Course, segments: int) -> list[Figure]:
    """Return when what was done, and whether a segment cost more at the end."""
    spoken, fifth = course.at(segments), segments / 5
    first, last = course.at(2 * fifth) - course.at(fifth), spoken - course.at(4 * fifth)
    return [
        Figure("every chapter planned", course.planned, "s"),
        Figure("last segment spoken", spoken, "s"),
        Figure("a segment, second fifth", 1000 * first / fifth, "ms"),
        Figure("a segment, last fifth", 1000 * last / fifth, "ms"),
        Figure("last chapter joined, after the last segment", course.joined - spoken, "s"),
        Figure("editions made, after the last chapter", course.made - course.joined, "s"),
    ]


def _cpu(used: dict[str, float], segments: int) -> list[Figure]:
    return [Figure(f"CPU a segment, {name}", 1000 * seconds / segments, "ms") for name, seconds in used.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=5000)
    parser.add_argument("--chapters", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="of the bulk lane")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(options, Path(folder) / "stack")
    show(found, title=f"A book of {options.segments:,} segments in {options.chapters} chapters")


if __name__ == "__main__":
    main()

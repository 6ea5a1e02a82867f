"""How far a job or a transfer is, on a terminal."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress_bar() -> Generator[Callable[[dict[str, Any]], None] | None]:
    """Yield a function that shows a job on standard error; None where that is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    with Progress(text, BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("submitted", total=None)

        def show(job: dict[str, Any]) -> None:
            total = job["progress"]["segments_total"] or None
            bar.update(task, description=described(job), total=total, completed=job["progress"]["segments_done"])

        yield show


def described(job: dict[str, Any]) -> str:
    """Return one line: the state, the place in the queue, the segments, and how long it may take."""
    done, total = job["progress"]["segments_done"], job["progress"]["segments_total"]
    queue: dict[str, Any] = job["queue"] or {}
    parts = [
        job["state"],
        f"number {queue['position']} in the queue" if queue.get("position") else "",
        f"{done} of {total} segments" if total > 1 else "",
        f"about {queue['eta_seconds']:.0f} s to go" if queue.get("eta_seconds") is not None else "",
    ]
    return ", ".join(part for part in parts if part)


@contextmanager
def bytes_bar(total: int) -> Generator[Callable[[int], None]]:
    """Yield a function that counts bytes on their way, shown on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)

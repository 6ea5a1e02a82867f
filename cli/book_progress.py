"""How far a book is: a bar for all of it and for each chapter that is being spoken, a line for each that is done."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from cli.tables import clock

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Json = dict[str, Any]

MOST_BARS = 8  # chapters at once


@contextmanager
def book_progress() -> Generator[Callable[[Json], None]]:
    """Yield a function that shows a book on standard error; where that is no terminal, by lines alone."""
    if not sys.stderr.isatty():
        yield Shown(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    with Progress(text, BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        yield Shown(bars)


class Shown:
    """What was shown of a book so far."""

    def __init__(self, bars: "Progress | None") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._done: set[str] | None = None  # before the first look: what is done then, was so before
        self._state = ""

    def __call__(self, book: Json) -> None:
        done = {one["id"] for one in book["chapters"] if one["state"] == "succeeded" and one["included"]}
        if self._done is not None:
            for chapter in book["chapters"]:
                if chapter["id"] in done - self._done:
                    self._say(f"chapter {chapter['id']}, {chapter['title']}: {clock(chapter['audio_seconds'])}")
        self._done = done
        if self._bars is None:
            if book["state"] != self._state:
                self._say(described(book))
        else:
            self._move(self._bars, book)
        self._state = book["state"]

    def _say(self, line: str) -> None:
        if self._bars is None:
            typer.echo(line, err=True)
        else:
            self._bars.console.print(line, markup=False, highlight=False)

    def _move(self, bars: "Progress", book: Json) -> None:
        progress = book["progress"]
        lines = {"": (described(book), progress["segments_done"], progress["segments_total"])}
        for one in [one for one in book["chapters"] if one["state"] == "running"][:MOST_BARS]:
            lines[one["id"]] = (f"  {one['id']} {one['title']}"[:60], one["segments_done"], one["segments_total"])
        for gone in self._tasks.keys() - lines.keys():
            bars.remove_task(self._tasks.pop(gone))
        for name, (text, done, total) in lines.items():
            if name not in self._tasks:
                self._tasks[name] = bars.add_task(text)
            bars.update(self._tasks[name], description=text, completed=done, total=total or None)


def described(book: Json) -> str:
    """Return one line: the state, the chapters, and how long it may take."""
    progress = book["progress"]
    parts = [
        book["state"],
        f"{progress['chapters_done']} of {progress['chapters_total']} chapters" if progress["chapters_total"] else "",
        f"about {clock(book['eta_seconds'])} to go" if book["eta_seconds"] else "",
    ]
    return ", ".join(part for part in parts if part)

"""What `emotivoice batch` does: find or send the batch, fetch what is finished, tell what is not."""

import hashlib
import json
import sys
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.batch_client import OVER, BatchCalls
from cli.connection import INTERRUPTED
from cli.errors import ClientError
from cli.speaking import destination
from shared.batch_lines import LONGEST_LINE_BYTES

if TYPE_CHECKING:
    from cli.client import Client, Json

LOOK_SECONDS = 1.0
MOST_TOLD = 20  # lines that were not spoken; the rest is in the manifest
MANIFEST = "manifest.jsonl"


def make(  # noqa: PLR0913 - one call site
    client: "Client", file: Path, options: "Json", folder: Path, *, retry: bool, new: bool
) -> None:
    """Make a batch of a file, or go on with it, until all that is spoken lies in the folder."""
    calls = BatchCalls(client)
    batch = _begun(calls, file, options, new=new)
    if retry and batch["state"] in OVER:
        batch = calls.retry(batch["id"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClientError(f"can't make the folder {folder}: {error.strerror}") from error
    fetched = _Fetched(calls, batch["id"], folder)
    try:
        with _bar() as show:
            _until_over(fetched, show)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; batch {batch['id']} goes on, and so does the same command", err=True)
        raise typer.Exit(INTERRUPTED) from None
    with destination(str(folder / MANIFEST)) as target:
        for block in calls.manifest(batch["id"]):
            target.write(block)
    _tell(calls.batch(batch["id"]), fetched)


def _begun(calls: BatchCalls, file: Path, options: "Json", *, new: bool) -> "Json":
    with file.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        in_file = _options_in(source.readline(LONGEST_LINE_BYTES))
    if not new and (known := calls.find(sha256, in_file or options)):
        typer.echo(f"going on with batch {known['id']}", err=True)
        return known
    told = json.dumps([sha256, options], sort_keys=True)
    key = str(uuid.uuid4()) if new else hashlib.sha256(told.encode()).hexdigest()
    batch = calls.send(file, options, key=key)
    typer.echo(f"sent batch {batch['id']}: {batch['progress']['lines']} lines", err=True)
    return batch


def _options_in(first: bytes) -> "Json | None":
    """Return the options that a file's first line has, as the gateway shows them."""
    try:
        found: Any = json.loads(first)
        return {"template": "", "defaults": {}} | found["batch"] if found.keys() == {"batch"} else None
    except (ValueError, AttributeError, TypeError):  # a line; if it is wrong, the gateway tells
        return None


@dataclass
class _Fetched:
    """What was fetched of a batch so far."""

    calls: BatchCalls
    batch_id: str
    folder: Path
    settled: int = 0  # up to this line nothing changes any more
    spoken: int = 0
    unspoken: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def look(self, *, is_over: bool) -> None:
        """Fetch what is finished; behind a page on which nothing is, nothing is likely to be."""
        cursor: int | None = self.settled
        while cursor is not None:
            page = self.calls.lines(self.batch_id, cursor=cursor)
            lines, following = page["lines"], page["next_cursor"]
            busy = sum(line["state"] in ("queued", "running") for line in lines)
            for line in lines:
                if line["audio"]:
                    _fetch(self.calls, line, self.folder)
            if is_over or (cursor == self.settled and not busy and following):
                self._settle(lines)
                self.settled = following or self.settled
            elif lines and busy == len(lines):
                return
            cursor = following

    def _settle(self, lines: "list[Json]") -> None:
        missing = [line for line in lines if not line["audio"]]
        self.spoken += len(lines) - len(missing)
        self.unspoken += len(missing)
        self.examples += missing[: MOST_TOLD - len(self.examples)]


def _until_over(fetched: _Fetched, show: Callable[["Json"], None]) -> None:
    while True:
        batch = fetched.calls.batch(fetched.batch_id)
        show(batch)
        fetched.look(is_over=batch["state"] in OVER)
        if batch["state"] in OVER:
            return
        time.sleep(LOOK_SECONDS)


def _fetch(calls: BatchCalls, line: "Json", folder: Path) -> None:
    path = folder / line["file"]
    if path.is_file() and path.stat().st_size == line["bytes"]:
        return
    with destination(str(path)) as target:
        calls.download(line, target)


def _tell(batch: "Json", fetched: _Fetched) -> None:
    for line in fetched.examples:
        named = f" ({line['custom_id']})" if line["custom_id"] else ""
        why = f"{line['error']['message']} [{line['error']['code']}]" if line["error"] else line["state"]
        typer.echo(f"line {line['line']}{named}: {why}", err=True)
    if fetched.unspoken > len(fetched.examples):
        typer.echo(f"and {fetched.unspoken - len(fetched.examples)} more, in {MANIFEST}", err=True)
    typer.echo(f"batch {batch['state']}: {fetched.spoken} files in {fetched.folder}, {fetched.unspoken} lines without")
    if batch["error"]:
        raise ClientError(f"the file could not be read to its end: {batch['error']['message']}")
    if fetched.unspoken:
        raise typer.Exit(1)


@contextmanager
def _bar() -> Generator[Callable[["Json"], None]]:
    """Yield a function that shows how far a batch is, on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    with Progress(text, BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sent", total=None)

        def show(batch: "Json") -> None:
            told, jobs = batch["progress"], batch["progress"]["jobs"]
            done = told["errors"] + sum(count for state, count in jobs.items() if state not in ("queued", "running"))
            eta = f", about {batch['eta_seconds']:.0f} s to go" if batch["eta_seconds"] else ""
            bar.update(task, description=batch["state"] + eta, total=told["lines"], completed=min(done, told["lines"]))

        yield show

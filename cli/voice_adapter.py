"""`emotivoice voices fit-adapter`: what the EmotiVoice model needs to speak like a reference clip."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.model import told

if TYPE_CHECKING:
    from worker.engine.emotivoice.adapter import Measured

TOLD_APART = 0.05  # least by which a voice is more like itself than like another; in recordings it is about 0.3

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice voices fit-adapter models/emotivoice                # takes hours on a CPU\n"
    "  emotivoice voices fit-adapter models/emotivoice --voices 100   # a try\n\n"
    "Each voice of the model's table speaks four sentences, and a speaker encoder hears who speaks. Of that follows "
    "how the model's own speaker vectors have to be chosen for a voice that it does not have. A fit that was cut goes "
    "on where it was. Workers use the adapter from their next start; `emotivoice model push` takes it along. More: "
    "docs/voice-adapter.md."
)


@told()
def fit_adapter(
    folder: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="The model's folder.")],
    voices: Annotated[
        int | None, typer.Option(metavar="N", min=10, help="Hear only N voices of the table, evenly spread.")
    ] = None,
    held_out: Annotated[
        int, typer.Option(metavar="N", min=2, help="By how many voices, spoken in every way, the ways are compared.")
    ] = 48,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; auto is CUDA where there is one.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an adapter that is there.")] = False,
) -> None:
    """Fit the voice adapter of an EmotiVoice model, so that it can speak like a clip, and measure how well it can."""
    from worker.engine.emotivoice.adapter_fitting import FitOptions, fit_adapter
    from worker.engine.emotivoice.folder import ADAPTER

    with _progress() as progress:
        options = FitOptions(voices, held_out)
        adapter = fit_adapter(folder, options, device=device, replace=force, progress=progress)
    typer.echo(f"wrote {folder / ADAPTER}: {adapter.measured.method}, revision {adapter.revision[:12]}\n")
    _show(adapter.measured)


def _show(measured: "Measured") -> None:
    names = {"nearest": "the nearest other voice of the table"}
    scores = {names.get(name, name): score for name, score in measured.scores.items()}
    lines = {"two different voices": measured.strangers, **scores, "the voice itself": measured.same_voice}
    width = max(map(len, lines))
    typer.echo(f"Similarity to {measured.held_out} voices that were held out, of {measured.voices} (mean cosine):")
    for name, value in lines.items():
        typer.echo(f"  {name:<{width}}  {value:.3f}{'  <- kept' * (scores.get(name) == measured.similarity)}")
    if measured.method == "nearest":
        typer.echo("\nNo way was better than the nearest voice of the table: clips are answered with that.")
    typer.echo("\nThe voices held out are the model's own; a recorded person is further away.")
    if measured.same_voice < measured.strangers + TOLD_APART:
        typer.echo(
            "The speaker encoder can't tell the voices of this model apart, so these figures mean nothing: are its "
            "weights random?",
            err=True,
        )


@contextmanager
def _progress() -> Generator[Callable[[str, int, int], None]]:
    """Show how far it is: bars on a terminal, else lines, ten for each part of the work at most."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield show


class _Lines:
    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total
        if tenth > self._told.get(what, 0):
            self._told[what] = tenth
            typer.echo(f"{what}: {done} of {total}", err=True)

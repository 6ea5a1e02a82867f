"""`emotivoice say`: text in, an audio file out."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from cli.connection import INTERRUPTED
from cli.errors import ClientError
from cli.progress import progress_bar
from shared.audio_formats import FORMATS

if TYPE_CHECKING:
    from cli.client import Client, Json

STANDARD = "-"  # standard input or output, in place of a file

_FORMAT_OF = {form.extension: name for name, form in FORMATS.items()} | {"ogg": "opus", "oga": "opus", "mp4": "m4a"}


def read_text(text: str | None, file: str | None) -> str:
    """Return the text from the command line, a file, or standard input.

    Raises:
        typer.BadParameter: there is none, there are two, or it is not UTF-8.
    """
    if text is not None and file is not None:
        raise typer.BadParameter("give the text or a file, not both")
    if text is None and file is None and sys.stdin.isatty():
        raise typer.BadParameter("there is no text: give it as an argument, with --file, or through a pipe")
    found = text if text is not None else _decoded(file or STANDARD)
    if not found.strip():
        raise typer.BadParameter("the text is empty; give at least one word")
    return found


def _decoded(file: str) -> str:
    name = "standard input" if file == STANDARD else file
    try:
        data = sys.stdin.buffer.read() if file == STANDARD else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise typer.BadParameter(f"can't read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        wrong = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        hint = "convert it first, for example: iconv -f GB18030 -t UTF-8"
        raise typer.BadParameter(f"{name} is not UTF-8 text ({wrong}); {hint}") from error


def chosen_format(output: str, format: str | None) -> str:
    """Return the format that was asked for, or else the one that the file's extension means."""
    meant = _FORMAT_OF.get(Path(output).suffix.lstrip(".").lower())
    if format and meant not in (None, format):
        raise typer.BadParameter(f"{output} looks like {meant}, but --format says {format}")
    if format or meant:
        return format or meant or ""
    if output == STANDARD:
        return "wav"
    raise typer.BadParameter(f"can't tell the format of {output}; use --format, or one of: .{', .'.join(_FORMAT_OF)}")


def check_output(output: str) -> None:
    """Refuse, before anything is spoken, what could not be written afterwards."""
    if output == STANDARD:
        if sys.stdout.isatty():
            raise typer.BadParameter("audio does not go to a terminal; use -o FILE, or a pipe behind -o -")
        return
    path = Path(output).resolve()
    if path.is_dir():
        raise typer.BadParameter(f"{output} is a folder; name a file in it")
    if not _special(path) and not os.access(path.parent, os.W_OK):
        raise typer.BadParameter(f"there is no folder {path.parent}, or it can't be written")


def check_sample_rate(sample_rate: int | None, *, format: str) -> None:
    allowed = FORMATS[format].sample_rates
    if sample_rate is not None and sample_rate not in allowed:
        raise typer.BadParameter(f"{format} can't have {sample_rate} Hz; it may have {', '.join(map(str, allowed))}")


def speak(client: "Client", fields: dict[str, object], *, output: str) -> None:
    """Submit the text, wait for it, and write its audio."""
    job = client.submit(**fields)
    finished = _awaited(client, job["id"])
    if finished["state"] != "succeeded":
        error = finished["error"]
        why = f": {error['message']} [{error['code']}]" if error else ""
        raise ClientError(f"the job {job['id']} is {finished['state']}{why}")
    try:
        with destination(output) as target:
            written = client.download(job["id"], target)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the audio is kept with job {job['id']}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    name = "standard output" if output == STANDARD else output
    seconds = finished["result"]["seconds"]
    typer.echo(f"wrote {name}: {seconds:.2f} s of audio, {written} bytes", err=output == STANDARD)
    for warning in finished["result"].get("warnings", ()):
        typer.echo(f"warning: {warning}", err=True)


def _awaited(client: "Client", job_id: str) -> "Json":
    try:
        with progress_bar() as show:
            return client.wait(job_id, on_progress=show)
    except KeyboardInterrupt:
        client.cancel(job_id)
        typer.echo(f"cancelled job {job_id}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except ClientError as error:
        raise ClientError(f"{error}. The job may go on; look again with: emotivoice status {job_id}") from error


@contextmanager
def destination(output: str) -> Generator[BinaryIO]:
    """Standard output, or a file that is there only when it is complete."""
    if output == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output).resolve()
    part = path if _special(path) else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        if part != path:
            part.replace(path)
    except OSError as error:
        raise ClientError(f"can't write {output}: {error.strerror}") from error
    finally:
        if part != path:
            part.unlink(missing_ok=True)


def _special(path: Path) -> bool:
    """Whether it is a device or a pipe, to be written and not to be replaced."""
    return path.exists() and not path.is_file()

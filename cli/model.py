"""`emotivoice model`: look after the folder of the EmotiVoice model.

Only these commands load the engine's code, and only `check` and `convert` need torch.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import model_export, speaking, tables
from cli.errors import ClientError

if TYPE_CHECKING:
    from shared.object_store import S3ObjectStore
    from worker.engine.emotivoice.report import Report

app = typer.Typer(
    help="Check, convert and move the folder of an EmotiVoice model.",
    epilog="\b\nExample:\n  emotivoice model check models/emotivoice",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Dtype(StrEnum):
    """The names of worker.engine.emotivoice.manifest.DTYPES."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The model's folder.")]
Place = Annotated[str, typer.Argument(metavar="URL", help="s3://bucket/prefix; server and keys: EMOTIVOICE_S3_*.")]


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice model check models/emotivoice\n"
        "  emotivoice model check models/emotivoice --json\n\n"
        "\bExit codes: 0 the model can be used, 1 it can't; the reason is on standard error, with --json on both."
    )
)
def check(
    folder: Folder, as_json: Annotated[bool, typer.Option("--json", help="JSON instead of lines.")] = False
) -> None:
    """Read every byte of a model, and say what it is or what is wrong with it."""
    with told(as_json=as_json):
        from worker.engine.emotivoice.report import check_model

        report = check_model(folder)
    if as_json:
        tables.show_json({"ok": True, **asdict(report)})
    else:
        _show(report)


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice model convert EmotiVoice models/emotivoice\n"
        "  emotivoice model convert EmotiVoice/exp/anna models/anna --dtype fp16"
    )
)
def convert(
    folder: Folder,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    dtype: Annotated[Dtype, typer.Option(help="fp16 for CUDA, half the size.")] = Dtype.FP32,
    force: Annotated[bool, typer.Option("--force", help="Replace a converted folder that is there.")] = False,
) -> None:
    """Make one folder of an official or fine-tuned model: it starts faster, and nothing else is needed with it."""
    with told():
        from worker.engine.emotivoice.conversion import convert

        manifest = convert(folder, output, dtype=dtype.value, replace=force)
    size = sum(entry.bytes for entry in manifest.files.values())
    typer.echo(f"wrote {output}: {manifest.dtype}, {manifest.voices} voices, {size:,} bytes")
    typer.echo(f"revision {manifest.revision}")


@app.command(epilog="\b\nExample:\n  emotivoice model pull s3://models/emotivoice models/emotivoice")
def pull(
    url: Place,
    folder: Folder,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="For another pull into the same folder, if there is one.")
    ] = 600,
) -> None:
    """Fetch a converted model. One that was cut goes on where it stopped; what is there and right is kept."""
    with told():
        from cli import transfer
        from cli.progress import bytes_bar

        bucket, prefix = transfer.split_url(url)
        turn = transfer.Turn(wait, partial(typer.echo, err=True))
        manifest, came = transfer.pull(_store(bucket), prefix, folder, bar=bytes_bar, turn=turn)
    typer.echo(f"{folder} holds revision {manifest.revision}: fetched {len(came)} of {len(manifest.files)} files")


@app.command(epilog="\b\nExample:\n  emotivoice model push models/emotivoice s3://models/emotivoice")
def push(folder: Folder, url: Place) -> None:
    """Store a converted model, for `pull` to fetch. The bucket has to be there."""
    with told():
        from cli import transfer
        from cli.progress import bytes_bar

        bucket, prefix = transfer.split_url(url)
        manifest, went = transfer.push(_store(bucket), prefix, folder, bar=bytes_bar)
    typer.echo(f"{url} holds revision {manifest.revision}: stored {len(went)} of {len(manifest.files)} files")


def _store(bucket: str) -> "S3ObjectStore":
    from shared.object_store import S3ObjectStore
    from shared.settings import SharedSettings

    return S3ObjectStore(SharedSettings(s3_bucket=bucket))


@contextmanager
def told(*, as_json: bool = False) -> Generator[None]:
    """What can't be done becomes one line on standard error and an exit code."""
    from shared.errors import JobError
    from worker.engine.errors import EngineError

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        reason = f"this needs {error.name}, which is not installed; to install what the model needs: make setup-model"
    except (EngineError, ClientError, JobError) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename or ''}: {error.strerror}".removeprefix(": ")
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(speaking.INTERRUPTED) from None
    else:
        return
    if as_json:
        tables.show_json({"ok": False, "error": reason})
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)


def _show(report: "Report") -> None:
    total = sum(report.parameters.values())
    networks = ", ".join(f"{name} {count:,}" for name, count in report.parameters.items())
    first = ", ".join(f"{voice.id} ({voice.name}, {voice.gender})" for voice in report.first_voices)
    adapter = report.adapter
    dropped = f"{report.training_only} tensors that only training needs"
    facts = {
        "model": f"{report.path}, {report.kind}",
        "revision": report.revision,
        "converted": f"from revision {report.source_revision}" if report.source_revision != report.revision else "",
        "weights": report.dtype,
        "parameters": f"{total:,}: {networks}",
        "tokens": str(report.tokens),
        "voices": f"{report.voices}, the first: {first}",
        "voice adapter": f"{adapter.method}, similarity {adapter.similarity:.3f}, of the nearest voice "
        f"{adapter.baseline:.3f}"
        if adapter
        else "",
        "left out": ", ".join([dropped, *report.strays]) if report.training_only or report.strays else "",
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        if value:
            typer.echo(f"{name:<{width}}  {value}")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")


app.command(epilog=model_export.EPILOG)(told()(model_export.export))

"""`emotivoice model export`: write the networks for other runtimes."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.engine.emotivoice.export import ExportedGraph

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice model export models/emotivoice exported\n"
    "  emotivoice model export models/emotivoice compiled --format aoti"
)


class Format(StrEnum):
    """The names of worker.engine.emotivoice.export_formats.FORMATS."""

    ONNX = "onnx"
    TORCH_EXPORT = "torch-export"
    AOTI = "aoti"


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model's folder.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    file_format: Annotated[
        Format, typer.Option("--format", help="aoti compiles for this machine's processor, and needs a C++ compiler.")
    ] = Format.ONNX,
    check: Annotated[bool, typer.Option(help="Compare each graph with the networks.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
) -> None:
    """Write the networks as ONNX, torch.export or AOTInductor files, in float32 for the CPU."""
    from worker.engine.emotivoice.export import Options, export

    options = Options(file_format.value, check=check, replace=force)
    manifest = export(folder, output, options, done=_show)
    size = sum(graph.bytes for graph in manifest.graphs)
    typer.echo(f"wrote {output}: {len(manifest.graphs)} graphs, {manifest.format}, {size:,} bytes")
    typer.echo(f"revision {manifest.revision}")


def _show(graph: "ExportedGraph") -> None:
    difference = graph.largest_difference
    found = "not checked" if difference is None else f"largest difference {difference:.1e}"
    typer.echo(f"{graph.name:<17} {graph.bytes:>13,} bytes  {found}")

"""Write the networks as files that run without this code: ONNX, torch.export or AOTInductor.

A folder holds one file for each graph and a manifest. Every graph is loaded again and compared with the networks before
the folder appears. All weights are float32, and everything is for the CPU.
"""

import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from worker.engine.emotivoice.acoustic import Controls
from worker.engine.emotivoice.export_formats import FORMATS, ExportError, Format, Runner, program_of, quiet
from worker.engine.emotivoice.folder import MANIFEST
from worker.engine.emotivoice.graphs import Axes, Graph, Tensors, graphs_of
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.manifest import created_by, sha256
from worker.engine.emotivoice.model import Networks

EXPORT_VERSION = 1
TOLERANCE = 1e-4
TRACED = (13, 11)  # lengths of the example that a graph is made from: above 1, and no size of a network
CHECKED = ((1,), (7,), (40,), (23, 23), (31, 4, 17, 1))  # lengths of the utterances in each batch of the check


@dataclass(frozen=True)
class Value:
    """An input or output of a graph."""

    name: str
    dtype: str
    axes: Axes  # a name where the size varies


@dataclass(frozen=True)
class ExportedGraph:
    """One file of an export."""

    name: str
    file: str
    bytes: int
    sha256: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    longest: dict[str, int]  # of an axis, where there is a limit
    largest_difference: float | None  # from the networks; None where it was not checked


@dataclass(frozen=True)
class Export:
    """The manifest of an exported folder."""

    format: str
    revision: str  # of the model it was made from
    graphs: tuple[ExportedGraph, ...]
    torch: str
    created_by: str
    opset: int | None = None  # of ONNX
    processor: str | None = None  # what AOTInductor compiled for; others may lack its instructions
    controls: tuple[str, ...] = Controls._fields  # the columns of the input of that name
    dtype: str = "float32"
    device: str = "cpu"
    export_version: int = EXPORT_VERSION

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Options:
    """How a model is exported."""

    format: str = "onnx"  # one of FORMATS
    check: bool = True  # compare each graph with the networks, on batches of several shapes
    replace: bool = False  # an export that is there already; anything else never is


def export(
    source: Path,
    output: Path,
    options: Options = Options(),
    *,
    done: Callable[[ExportedGraph], None] = lambda _: None,
) -> Export:
    """Export the model in `source`; `output` appears when it is complete. `done` is called after each graph.

    Raises:
        ExportError: this machine lacks what the format needs, the output is in the way, or a graph says something else
            than the networks.
        ModelFolderError, CheckpointError: the source is not right.
    """
    output = output.absolute()
    chosen = FORMATS[options.format]
    chosen.require()
    _require_free(output, replace=options.replace)
    model = load_model(source)
    networks = Networks.of(model.weights, model.config, dtype=torch.float32)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        made = Path(work) / "export"
        made.mkdir()
        exported: list[ExportedGraph] = []
        for graph in graphs_of(networks):
            exported.append(export_graph(graph, made, chosen, check=options.check))
            done(exported[-1])
        manifest = Export(
            options.format,
            model.revision,
            graphs=tuple(exported),
            torch=torch.__version__,
            created_by=created_by(),
            **chosen.facts,
        )
        (made / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        if output.exists():
            os.replace(output, Path(work) / "old")
        os.replace(made, output)
    return manifest


def export_graph(graph: Graph, folder: Path, chosen: Format, *, check: bool = True) -> ExportedGraph:
    """Write one graph into a folder, and compare it with the networks; raise ExportError where it differs."""
    path = folder / (graph.name + chosen.suffix)
    random = torch.Generator().manual_seed(0)
    inputs = graph.batch([graph.example(length, random) for length in TRACED])
    with quiet():
        chosen.write(program_of(graph, inputs), graph, path)
        difference = largest_difference(graph, chosen.open(path), random) if check else None
        outputs = graph(*inputs)
    if difference is not None and not difference <= TOLERANCE:
        raise ExportError(f"{graph.name} differs from the networks by {difference:.2g}, more than {TOLERANCE:g}")
    return ExportedGraph(
        graph.name,
        path.name,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        inputs=_values(graph.inputs, inputs),
        outputs=_values(graph.outputs, outputs),
        longest=graph.longest,
        largest_difference=difference,
    )


def largest_difference(
    graph: Graph, run: Runner, random: torch.Generator, batches: Sequence[Sequence[int]] = CHECKED
) -> float:
    """Return how far what the graph says of padded batches is from what the networks say of each utterance alone.

    It is infinite where a whole number, such as a phoneme's frames, differs at all.
    """
    found = 0.0
    for lengths in batches:
        utterances = [graph.example(length, random) for length in lengths]
        outputs = run(*graph.batch(utterances))
        for row, utterance in enumerate(utterances):
            expected = graph.alone(*utterance)
            found = max(found, *(_difference(out[row], alone) for out, alone in zip(outputs, expected, strict=True)))
    return found


def _difference(padded: Tensor, alone: Tensor) -> float:
    real, padding = padded[: len(alone)], padded[len(alone) :]
    if alone.is_floating_point():
        difference = (real - alone).abs().max().item()
        return math.inf if math.isnan(difference) else difference
    return 0.0 if torch.equal(real, alone) and not padding.any() else math.inf


def open_graph(folder: Path, name: str) -> Runner:
    """Return a graph of an exported folder as a function: tensors in the order of its inputs, to a tuple of outputs.

    Raises:
        ExportError: the folder is no export, or holds no such graph.
    """
    manifest = _manifest(folder)
    if manifest is None:
        raise ExportError(f"{folder} is no exported model")
    if manifest["export_version"] != EXPORT_VERSION:
        raise ExportError(f"{folder} was exported by another version; export the model again")
    files = {graph["name"]: graph["file"] for graph in manifest["graphs"]}
    if name not in files:
        raise ExportError(f"{folder} holds no graph {name}; it has {', '.join(files)}")
    with quiet():
        return FORMATS[manifest["format"]].open(folder / files[name])


def _require_free(output: Path, *, replace: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if _manifest(output) is None:
        raise ExportError(f"{output} is there and is no exported model; it is left alone")
    if not replace:
        raise ExportError(f"{output} holds an exported model already; --force replaces it")


def _manifest(folder: Path) -> dict[str, Any] | None:
    """What is written in the manifest of an export; None where there is none."""
    try:
        fields = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) and "export_version" in fields else None


def _values(axes: dict[str, Axes], tensors: Tensors) -> tuple[Value, ...]:
    return tuple(
        Value(name, str(tensor.dtype).removeprefix("torch."), axes[name])
        for name, tensor in zip(axes, tensors, strict=True)
    )

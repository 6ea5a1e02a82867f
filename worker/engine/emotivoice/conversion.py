"""Write a converted folder: all weights in one safetensors file, the tables, and a manifest."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

from worker.engine.emotivoice.adapter import load_adapter
from worker.engine.emotivoice.config import OFFICIAL, ModelConfig
from worker.engine.emotivoice.converted import DTYPES
from worker.engine.emotivoice.errors import CheckpointError, ModelFolderError
from worker.engine.emotivoice.folder import ADAPTER, MANIFEST, SPEAKERS, TOKENLIST, VOCABULARY, VOICES, WEIGHTS
from worker.engine.emotivoice.loading import ModelFiles, load_model
from worker.engine.emotivoice.manifest import (
    FileEntry,
    Manifest,
    converted_revision,
    created_by,
    read_manifest,
    sha256,
)


def convert(
    source: Path, output: Path, *, dtype: str = "fp32", replace: bool = False, sizes: ModelConfig = OFFICIAL
) -> Manifest:
    """Convert the model in `source`; `output` appears when it is complete. The same model gives the same bytes.

    Args:
        dtype: fp32, fp16 or bf16; from fp16 or bf16 there is no way back.
        replace: whether a converted folder that is there already may be replaced; anything else never is.
    Raises:
        ModelFolderError: the source is no model, or the output is in the way.
        CheckpointError: the source's weights are not right, or don't fit the type.
    """
    output = output.absolute()
    require_free(output, replace=replace)
    model = load_model(source, sizes=sizes)
    weights = _cast(model, dtype)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        made = Path(work) / "model"
        made.mkdir()
        manifest = _write(made, model, weights, dtype)
        _put(made, output, old=Path(work) / "old")
    return manifest


def require_free(output: Path, *, replace: bool) -> None:
    """Raise ModelFolderError unless a converted folder may be written there."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    try:
        read_manifest(output)
    except ModelFolderError:
        if not (output / WEIGHTS).is_file() or not (output / MANIFEST).is_file():
            raise ModelFolderError(f"{output} is there and is no converted model; it is left alone") from None
    if not replace:
        raise ModelFolderError(f"{output} holds a converted model already; --force replaces it")


def _cast(model: ModelFiles, dtype: str) -> dict[str, torch.Tensor]:
    wanted = DTYPES[dtype]
    if model.dtype not in (torch.float32, wanted):
        stored = str(model.dtype).removeprefix("torch.")
        raise ModelFolderError(f"{model.folder.path} holds {stored} weights; {dtype} is made from the official files")
    weights = {name: tensor.to(wanted).contiguous() for name, tensor in model.weights.items()}
    lost = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if lost:
        raise CheckpointError(f"these weights are too large for {dtype}: {', '.join(lost[:5])}; bf16 holds them")
    return weights


def _write(folder: Path, model: ModelFiles, weights: Mapping[str, torch.Tensor], dtype: str) -> Manifest:
    save_file(dict(weights), folder / WEIGHTS, metadata={"format": "pt"})
    tables = {VOCABULARY: model.folder.vocabulary, TOKENLIST: model.folder.tokenlist, SPEAKERS: model.folder.speakers}
    if model.folder.voices_table:
        tables[VOICES] = model.folder.voices_table
    if load_adapter(model.folder.path, model.source_revision):
        tables[ADAPTER] = model.folder.path / ADAPTER
    for name, path in tables.items():
        shutil.copyfile(path, folder / name)
    shutil.copymode(folder / VOCABULARY, folder / WEIGHTS)  # safetensors lets nobody else read its file
    manifest = Manifest(
        dtype=dtype,
        revision=converted_revision(model.source_revision, dtype),
        source_revision=model.source_revision,
        config=model.config,
        parameters=model.parameters(),
        voices=len(model.voices),
        files={
            name: FileEntry((folder / name).stat().st_size, sha256(folder / name))
            for name in sorted([WEIGHTS, *tables])
        },
        created_by=created_by(),
    )
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _put(made: Path, output: Path, *, old: Path) -> None:
    if output.exists():
        os.replace(output, old)
    os.replace(made, output)

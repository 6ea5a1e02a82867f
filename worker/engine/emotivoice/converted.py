"""Read a converted folder: its weights are mapped from one safetensors file straight to the device."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open

from worker.engine.emotivoice.errors import CheckpointError
from worker.engine.emotivoice.folder import WEIGHTS
from worker.engine.emotivoice.manifest import Manifest, read_manifest
from worker.engine.emotivoice.shapes import Shapes, expected_shapes

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
STORED_AS = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}  # safetensors' names


def load_converted(folder: Path, device: str) -> tuple[Manifest, dict[str, torch.Tensor]]:
    """Return manifest and weights, with every size and the SHA-256 of the tables verified, not that of the weights.

    Raises:
        ModelFolderError: the folder is not what was converted.
        CheckpointError: the weights are not those of this model.
    """
    manifest = read_manifest(folder)
    manifest.verify(folder, weights=False)
    path = folder / WEIGHTS
    try:
        with cast(Any, safe_open(path, framework="pt", device=device)) as file:
            names: list[str] = file.keys()
            _require(expected_shapes(manifest.config), _stored(file, names), STORED_AS[manifest.dtype], path)
            return manifest, {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def _stored(file: Any, names: list[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    slices = {name: file.get_slice(name) for name in names}
    return {name: (each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}


def _require(expected: Shapes, stored: Mapping[str, tuple[str, tuple[int, ...]]], dtype: str, path: Path) -> None:
    wanted = {name: (dtype, shape) for name, shape in expected.items()}
    if wanted == stored:
        return
    wrong = [name for name in {**wanted, **stored} if wanted.get(name) != stored.get(name)]
    first = wrong[0]
    raise CheckpointError(
        f"{path} does not hold the weights of its manifest: {len(wrong)} differ, such as {first}, which is "
        f"{stored.get(first, 'missing')} instead of {wanted.get(first, 'absent')}"
    )

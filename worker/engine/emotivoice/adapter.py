"""The voice adapter: what a speaker embedding of the encoder is in the speaker space of one model.

It is a file beside the model, made by `emotivoice voices fit-adapter`, with the embeddings of the voices that were
heard for it. docs/voice-adapter.md tells how it is made and what its figures mean.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as packed

from voices.encoder import load_encoder
from worker.engine.emotivoice.adapter_methods import METHODS, Floats, Weights
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import ADAPTER

FORMAT = 1
FIT_AGAIN = "fit it again: emotivoice voices fit-adapter MODEL_DIR --force"


@dataclass(frozen=True)
class Measured:
    """What was measured when an adapter was fitted. Similarities are mean cosines of the encoder's embeddings."""

    model: str  # source revision of the model that it is for
    encoder: str  # revision of the speaker encoder
    method: str  # the best of METHODS
    scores: dict[str, float]  # by method: of held-out voices to what the method made of their embeddings
    same_voice: float  # of held-out voices to themselves: as high as a score can be expected to be
    strangers: float  # of two voices: no better is a score that means nothing
    voices: int  # of the table that were heard
    held_out: int  # of these that were spoken to measure the similarities
    sentences: tuple[str, ...]  # that each voice spoke

    @property
    def similarity(self) -> float:
        """Return the score of the method that was kept."""
        return self.scores[self.method]

    @property
    def baseline(self) -> float:
        """Return the score of the nearest other voice of the table."""
        return self.scores["nearest"]


@dataclass(frozen=True, eq=False)
class Adapter:
    """A fitted adapter."""

    measured: Measured
    rows: NDArray[np.int32]  # (N,) of the speaker table, of the voices that were heard
    embeddings: Floats  # (N, 256) of these
    bounds: Floats  # (2, D): the least and the greatest number of the speaker table, by dimension
    weights: Weights  # of the method

    def vector(self, embedding: Floats) -> tuple[float, ...]:
        """Return the speaker vector (D,) for an embedding (256,). It leaves the table's range in no dimension."""
        (found,) = METHODS[self.measured.method].predict(self.weights, embedding[None])
        return tuple(float(number) for number in np.clip(found, *self.bounds))

    def nearest(self, embedding: Floats) -> tuple[int, float]:
        """Return the row of the nearest voice that was heard, and its similarity."""
        similarities = self.embeddings @ embedding
        best = int(np.argmax(similarities))
        return int(self.rows[best]), float(similarities[best])

    @cached_property
    def revision(self) -> str:
        """Name it exactly: SHA-256 of its file."""
        return hashlib.sha256(self._packed()).hexdigest()

    def save(self, folder: Path) -> Path:
        """Write it beside the model; it appears when it is complete."""
        path = folder / ADAPTER
        with tempfile.TemporaryDirectory(prefix=f".{ADAPTER}.", dir=folder) as work:
            made = Path(work) / ADAPTER
            made.write_bytes(self._packed())
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.replace(path)
        return path

    def _packed(self) -> bytes:
        arrays = {"rows": self.rows, "embeddings": self.embeddings, "bounds": self.bounds}
        weights = {f"weights.{name}": array for name, array in self.weights.items()}
        content = {name: np.ascontiguousarray(array) for name, array in {**arrays, **weights}.items()}
        told = json.dumps({"format": FORMAT, "measured": asdict(self.measured)}, sort_keys=True)
        return packed(content, metadata={ADAPTER: told})  # of two entries the order would differ from time to time


def load_adapter(folder: Path, model: str) -> Adapter | None:
    """Return the adapter in a model's folder; None if there is none.

    Args:
        model: the source revision of the model.
    Raises:
        ModelFolderError: it is damaged, or was made for another model or with another encoder.
    """
    path = folder / ADAPTER
    if not path.exists():
        return None
    try:
        adapter = _read(path)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise ModelFolderError(f"{path} is damaged ({error}); delete it, or {FIT_AGAIN}") from error
    _require_ours(adapter.measured, path, model)
    return adapter


def _read(path: Path) -> Adapter:
    with cast(Any, safe_open(path, framework="numpy")) as file:
        told: dict[str, Any] = json.loads(file.metadata()[ADAPTER])
        if told["format"] != FORMAT:
            raise ValueError(f"it has format {told['format']}, and this version reads {FORMAT}")
        names: list[str] = file.keys()
        arrays: dict[str, Any] = {name: file.get_tensor(name) for name in names}
    fields: dict[str, Any] = told["measured"]
    sentences = tuple(cast(list[str], fields.pop("sentences")))
    measured = Measured(**fields, sentences=sentences)
    weights = {name.removeprefix("weights."): array for name, array in arrays.items() if name.startswith("weights.")}
    adapter = Adapter(measured, arrays["rows"], arrays["embeddings"], arrays["bounds"], weights)
    adapter.vector(adapter.embeddings[0])  # raises where its arrays don't fit each other
    return adapter


def _require_ours(measured: Measured, path: Path, model: str) -> None:
    if measured.model != model:
        raise ModelFolderError(
            f"{path} was made for another model, of revision {measured.model[:12]}; this one is {model[:12]}. "
            f"Delete it, or {FIT_AGAIN}"
        )
    encoder = load_encoder().revision
    if measured.encoder != encoder:
        raise ModelFolderError(
            f"{path} was made with another speaker encoder, {measured.encoder}; here is {encoder}. "
            f"Delete it, or {FIT_AGAIN}"
        )

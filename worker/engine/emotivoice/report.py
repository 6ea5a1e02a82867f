"""What is in a model folder, every byte of it checked."""

from dataclasses import dataclass
from pathlib import Path

from worker.engine.emotivoice.adapter import Measured, load_adapter
from worker.engine.emotivoice.config import OFFICIAL, ModelConfig
from worker.engine.emotivoice.converted import DTYPES
from worker.engine.emotivoice.folder import find_model
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.manifest import read_manifest
from worker.engine.speech import Voice


@dataclass(frozen=True)
class Report:
    """A model that can be loaded."""

    path: str
    kind: str
    dtype: str
    revision: str
    source_revision: str
    parameters: dict[str, int]  # by network
    tokens: int
    voices: int
    first_voices: tuple[Voice, ...]
    training_only: int  # tensors that are not loaded
    strays: tuple[str, ...]  # what else is in the files
    warnings: tuple[str, ...]
    adapter: Measured | None  # of voices, if there is one


def check_model(path: Path, *, sizes: ModelConfig = OFFICIAL, voices: int = 5) -> Report:
    """Load the model, of a converted one verify the SHA-256 of every file, and report what was found.

    Raises:
        ModelFolderError, CheckpointError: as load_model; or the voice adapter is not of this model.
    """
    if find_model(path).kind == "converted":
        read_manifest(path).verify(path, weights=True)
    model = load_model(path, sizes=sizes)
    adapter = load_adapter(path, model.source_revision)
    return Report(
        path=str(path),
        kind=model.folder.kind,
        dtype=next(name for name, dtype in DTYPES.items() if dtype == model.dtype),
        revision=model.revision,
        source_revision=model.source_revision,
        parameters=model.parameters(),
        tokens=len(model.tokens),
        voices=len(model.voices),
        first_voices=model.voices[:voices],
        training_only=model.training_only,
        strays=model.strays,
        warnings=model.warnings,
        adapter=adapter.measured if adapter else None,
    )

"""A model folder of any kind to weights on a device, with the tables that belong to them."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from worker.engine.emotivoice.checkpoint import load_checkpoint
from worker.engine.emotivoice.config import OFFICIAL, ModelConfig
from worker.engine.emotivoice.converted import DTYPES, load_converted
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import ModelFolder, find_model
from worker.engine.emotivoice.shapes import NETWORKS
from worker.engine.emotivoice.voices import UNKNOWN, read_lines, read_table, voices_of
from worker.engine.speech import Voice


@dataclass(frozen=True)
class ModelFiles:
    """A model, ready to be built."""

    weights: dict[str, torch.Tensor]  # as model.state_dict(), on the device; read-only: they may be mapped from a file
    dtype: torch.dtype  # of all weights
    tokens: tuple[str, ...]  # id = position
    vocabulary: Path  # WordPieces, one a line
    speakers: tuple[str, ...]  # id = row of acoustic.spk_tokenizer.weight
    voices: tuple[Voice, ...]  # in the order of the speakers
    revision: str  # SHA-256 over weights and tables: the same for a folder and its fp32 conversion
    config: ModelConfig
    folder: ModelFolder
    source_revision: str  # of the folder it was converted from; else the same
    training_only: int = 0  # tensors that were left out
    strays: tuple[str, ...] = ()  # what else was in the files
    warnings: tuple[str, ...] = ()

    def parameters(self) -> dict[str, int]:
        """Return how many numbers each network has."""
        count: Counter[str] = Counter()
        for name, tensor in self.weights.items():
            count[name.partition(".")[0]] += tensor.numel()
        return {network: count[network] for network in NETWORKS}


@dataclass(frozen=True)
class _Tables:
    tokens: tuple[str, ...]
    vocabulary: bytes  # as it is: one of its lines is empty
    speakers: tuple[str, ...]
    voices: tuple[Voice, ...]

    @classmethod
    def read(cls, folder: ModelFolder) -> "_Tables":
        table = read_table(folder.voices_table) if folder.voices_table else {}
        speakers = read_lines(folder.speakers)
        vocabulary = folder.vocabulary.read_bytes()
        return cls(read_lines(folder.tokenlist), vocabulary, speakers, voices_of(speakers, table))

    def require_rows(self, folder: ModelFolder, config: ModelConfig) -> None:
        """Raise ModelFolderError unless each list is as long as its table of weights."""
        lists = (
            (folder.tokenlist, len(self.tokens), "tokens", config.acoustic.tokens),
            (folder.speakers, len(self.speakers), "speakers", config.acoustic.speakers),
            (folder.vocabulary, len(self.vocabulary.splitlines()), "words", config.style.vocabulary),
        )
        faults = [
            f"{path} lists {here} {what}, but the weights are for {there}"
            for path, here, what, there in lists
            if here != there
        ]
        if faults:
            raise ModelFolderError("; ".join(faults))

    def revision(self, weights_digest: str) -> str:
        parts = [
            weights_digest,
            hashlib.sha256(self.vocabulary).hexdigest(),
            *("\n".join(names) for names in (self.tokens, self.speakers)),
            "\n".join(f"{voice.id}\t{voice.name}" for voice in self.voices),  # a blend may name a voice
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def warnings(self, folder: ModelFolder) -> tuple[str, ...]:
        if not folder.voices_table:
            return ("there is no voices table: every voice is called by its id, and its gender is unknown",)
        without = [voice.id for voice in self.voices if voice.gender == UNKNOWN]
        shown = ", ".join(without[:5]) + (" …" if len(without) > 5 else "")
        return (f"{len(without)} voices are not in {folder.voices_table.name}: {shown}",) if without else ()


def load_model(path: Path, *, device: str = "cpu", sizes: ModelConfig = OFFICIAL) -> ModelFiles:
    """Load the model in that folder; a converted one is mapped straight to the device.

    Args:
        sizes: of the networks in an official or fine-tuned folder; a converted one tells its own.
    Raises:
        ModelFolderError: the folder, a list or the manifest is not right.
        CheckpointError: a file of weights is damaged or does not hold this model's weights.
    """
    folder = find_model(path)
    return _from_converted(folder, device) if folder.kind == "converted" else _from_official(folder, device, sizes)


def _from_official(folder: ModelFolder, device: str, sizes: ModelConfig) -> ModelFiles:
    tables = _Tables.read(folder)
    checkpoint = load_checkpoint(folder.generator, folder.style, sizes=sizes)
    tables.require_rows(folder, checkpoint.config)
    revision = tables.revision(checkpoint.digest)
    warnings = list(tables.warnings(folder))
    if checkpoint.stored != ("float32",):
        warnings.append(f"the weights are stored as {' and '.join(checkpoint.stored)}; they are used as float32")
    return ModelFiles(
        weights={name: tensor.to(device) for name, tensor in checkpoint.weights.items()},
        dtype=torch.float32,
        tokens=tables.tokens,
        vocabulary=folder.vocabulary,
        speakers=tables.speakers,
        voices=tables.voices,
        revision=revision,
        config=checkpoint.config,
        folder=folder,
        source_revision=revision,
        training_only=len(checkpoint.training_only),
        strays=checkpoint.strays,
        warnings=tuple(warnings),
    )


def _from_converted(folder: ModelFolder, device: str) -> ModelFiles:
    manifest, weights = load_converted(folder.path, device)
    if folder.voices_table and folder.voices_table.name not in manifest.files:
        folder = replace(folder, voices_table=None)  # somebody put it there later: nothing vouches for it
    tables = _Tables.read(folder)
    tables.require_rows(folder, manifest.config)
    return ModelFiles(
        weights=weights,
        dtype=DTYPES[manifest.dtype],
        tokens=tables.tokens,
        vocabulary=folder.vocabulary,
        speakers=tables.speakers,
        voices=tables.voices,
        revision=manifest.revision,
        config=manifest.config,
        folder=folder,
        source_revision=manifest.source_revision,
        warnings=tables.warnings(folder),
    )

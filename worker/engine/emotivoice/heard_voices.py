"""What was heard of a model's voices so far, in a file: a fit that was cut goes on from there."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from voices.encoder import Floats

FILE = ".speaker_adapter.heard.npz"


@dataclass(frozen=True, eq=False)
class HeardVoices:
    """Embeddings by row of the speaker table."""

    path: Path
    of: str  # names model, encoder and sentences
    embeddings: dict[int, Floats]

    @classmethod
    def load(cls, folder: Path, of: str) -> "HeardVoices":
        """Return what is there; nothing where it is of another model, or damaged."""
        path, name = folder / FILE, hashlib.sha256(of.encode()).hexdigest()
        try:
            with path.open("rb") as file, np.load(file) as stored:
                ours = str(stored["of"]) == name
                found = dict(zip(stored["rows"].tolist(), stored["embeddings"], strict=True)) if ours else {}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            found = {}
        return cls(path, name, found)

    @staticmethod
    def forget(folder: Path) -> None:
        """Delete the file: it has served."""
        (folder / FILE).unlink(missing_ok=True)

    def add(self, rows: Sequence[int], embeddings: Floats) -> None:
        """Keep them, in the file too."""
        self.embeddings.update(zip(rows, embeddings, strict=True))
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, of=self.of, rows=[*self.embeddings], embeddings=np.stack([*self.embeddings.values()]))
        os.replace(part, self.path)

"""Find the files of a model in a folder: official, fine-tuned or converted."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worker.engine.emotivoice.errors import ModelFolderError

Kind = Literal["official", "fine-tuned", "converted"]

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
VOCABULARY = "vocab.txt"
TOKENLIST = "tokenlist"
SPEAKERS = "speakers"
VOICES = "voices.md"
ADAPTER = "speaker_adapter.safetensors"

GENERATORS = "g_????????"
TEXT = "data/youdao/text"  # in the official repository
SIMBERT = "WangZeJun/simbert-base-chinese"
STYLE = "outputs/style_encoder/ckpt/checkpoint_*"
_LFS_POINTER = b"version https://git-lfs"
OFFICIAL_GENERATORS = f"outputs/prompt_tts_open_source_joint/ckpt/{GENERATORS}"


@dataclass(frozen=True)
class ModelFolder:
    """Where each file of a model is."""

    path: Path
    kind: Kind
    generator: Path
    style: Path  # a converted folder has one file for all weights: the same as `generator`
    vocabulary: Path
    tokenlist: Path
    speakers: Path
    voices_table: Path | None

    @property
    def manifest(self) -> Path:
        """The manifest, of a converted folder."""
        return self.path / MANIFEST


def find_model(path: Path) -> ModelFolder:
    """Return the files of the model in that folder.

    Raises:
        ModelFolderError: it is no such folder, or a file is missing.
    """
    if not path.is_dir():
        raise ModelFolderError(f"there is no folder {path}")
    if (path / MANIFEST).exists():
        return _converted(path)
    if _newest(path, [f"ckpt/{GENERATORS}"]):
        return _fine_tuned(path)
    if _newest(path, [OFFICIAL_GENERATORS]):
        return _official(path)
    raise ModelFolderError(_nothing_found(path))


def _converted(path: Path) -> ModelFolder:
    weights, voices = path / WEIGHTS, path / VOICES
    return ModelFolder(
        path=path,
        kind="converted",
        generator=weights,
        style=weights,
        vocabulary=path / VOCABULARY,
        tokenlist=path / TOKENLIST,
        speakers=path / SPEAKERS,
        voices_table=voices if voices.is_file() else None,
    )


def _official(path: Path) -> ModelFolder:
    wanted = _Wanted(path, [path])
    return wanted.model(
        "official",
        generators=[OFFICIAL_GENERATORS],
        tokenlists=[f"{TEXT}/tokenlist", "tokenlist"],
        speakers=[f"{TEXT}/speaker2", "speaker2"],
    )


def _fine_tuned(path: Path) -> ModelFolder:
    """`exp/NAME` of a fine-tuning recipe. It shares style encoder and vocabulary with the repository around it."""
    wanted = _Wanted(path, [path, path.resolve().parent, path.resolve().parent.parent])
    return wanted.model(
        "fine-tuned",
        generators=[f"ckpt/{GENERATORS}"],
        tokenlists=["info/tokenlist"],
        speakers=["info/speaker"],
    )


class _Wanted:
    """Looks for files in a folder and, for what a fine-tuned model shares, in those around it."""

    def __init__(self, path: Path, roots: Iterable[Path]) -> None:
        self._path = path
        self._roots = tuple(roots)
        self._missing: list[str] = []

    def model(self, kind: Kind, *, generators: list[str], tokenlists: list[str], speakers: list[str]) -> ModelFolder:
        generator = self._find("the weights of acoustic model and vocoder", generators)
        style = self._find("the weights of the style encoder", [STYLE])
        vocabulary = self._find("the vocabulary of the style encoder", [f"{SIMBERT}/{VOCABULARY}", VOCABULARY])
        tokenlist = self._find("the token list", tokenlists)
        speaker_list = self._find("the speaker list", speakers)
        if self._missing:
            raise ModelFolderError(
                f"{self._path} looks like a model of kind {kind}, but has not {'; nor '.join(self._missing)}"
            )
        return ModelFolder(
            path=self._path,
            kind=kind,
            generator=generator,
            style=style,
            vocabulary=vocabulary,
            tokenlist=tokenlist,
            speakers=speaker_list,
            voices_table=self._table(speaker_list),
        )

    def _find(self, what: str, patterns: list[str]) -> Path:
        for root in self._roots:
            if found := _newest(root, patterns):
                return found
        self._missing.append(f"{what} ({' or '.join(patterns)})")
        return self._path

    def _table(self, speakers: Path) -> Path | None:
        beside = [speakers.with_name(name) for name in ("README.md", VOICES)]
        tables = [*beside, *(root / TEXT / "README.md" for root in self._roots)]
        return next((table for table in tables if table.is_file()), None)


def _newest(root: Path, patterns: Iterable[str]) -> Path | None:
    """The last file by name, numbers by value, of the first pattern that has one."""
    for pattern in patterns:
        if found := [path for path in root.glob(pattern) if path.is_file()]:
            return max(found, key=lambda path: (len(path.name), path.name))
    return None


def _nothing_found(path: Path) -> str:
    looked = (
        f"no model is in {path}. Looked for {MANIFEST} (converted), "
        f"{OFFICIAL_GENERATORS} (official) and ckpt/{GENERATORS} (fine-tuned)"
    )
    tuned = sorted({str(file.parent.parent) for file in path.glob(f"exp/*/ckpt/{GENERATORS}")})
    if tuned:
        return f"{looked}. There are fine-tuned models below it; name one of them: {', '.join(tuned)}"
    inside = sorted(each.name + "/" * each.is_dir() for each in path.iterdir() if each.name[0] != ".")
    shown = ", ".join(inside[:8]) + (f" and {len(inside) - 8} more" if len(inside) > 8 else "")
    return f"{looked}; found {shown or 'nothing'}"


def is_lfs_pointer(path: Path) -> bool:
    """Whether Git LFS has not fetched the file: a small text stands in its place."""
    with path.open("rb") as file:
        return file.read(len(_LFS_POINTER)) == _LFS_POINTER

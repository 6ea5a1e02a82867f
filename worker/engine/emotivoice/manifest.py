"""The manifest of a converted folder: what it holds, and the SHA-256 of every file. Needs no torch."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from worker.engine.emotivoice.config import AcousticConfig, ModelConfig, StyleConfig, VocoderConfig
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import MANIFEST, SPEAKERS, TOKENLIST, VOCABULARY, VOICES, WEIGHTS

FORMAT_VERSION = 1
DTYPES = ("fp32", "fp16", "bf16")
REQUIRED = frozenset({WEIGHTS, VOCABULARY, TOKENLIST, SPEAKERS})
HASH_BLOCK = 1 << 20  # bytes
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """One file of a converted folder."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a converted folder holds. No time is in it: the same model gives the same bytes."""

    dtype: str
    revision: str  # of these weights and tables
    source_revision: str  # of the folder they were converted from; the same in fp32
    config: ModelConfig
    parameters: dict[str, int]  # by network
    voices: int
    files: dict[str, FileEntry]  # without the manifest itself
    created_by: str
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    def verify_sizes(self, folder: Path) -> None:
        """Raise ModelFolderError unless every file is there with its size."""
        for name, entry in self.files.items():
            if not (folder / name).is_file():
                raise ModelFolderError(f"{folder} is incomplete: {name} is missing")
            found = (folder / name).stat().st_size
            if found != entry.bytes:
                raise ModelFolderError(f"{folder / name} has {found:,} bytes instead of {entry.bytes:,}")

    def verify(self, folder: Path, *, weights: bool) -> None:
        """Raise ModelFolderError unless every file has its size and its SHA-256; the weights' only if wanted.

        Hashing the weights takes as long as loading them, so an engine that starts leaves it out.
        """
        self.verify_sizes(folder)
        for name, entry in self.files.items():
            if (weights or name != WEIGHTS) and sha256(folder / name) != entry.sha256:
                raise ModelFolderError(
                    f"{folder / name} is not the file that was converted: its SHA-256 differs from {MANIFEST}"
                )


def converted_revision(source_revision: str, dtype: str) -> str:
    """Return the revision of a conversion: in fp32 nothing changes, so it is the source's."""
    if dtype == "fp32":
        return source_revision
    return hashlib.sha256(f"{source_revision} {dtype}".encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a converted folder.

    Raises:
        ModelFolderError: there is none, or this version can't read it.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelFolderError(
            f"{folder} is no converted model: {MANIFEST} can't be read ({error.strerror})"
        ) from error
    return parse_manifest(content, where=str(folder / MANIFEST))


def parse_manifest(content: bytes, *, where: str) -> Manifest:
    """Return the manifest that is written in these bytes; raise ModelFolderError where it is none of ours."""
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise ModelFolderError(f"{where} is not JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(cast(Any, fields).get("format_version"), int):
        raise ModelFolderError(f"{where} is not the manifest of a converted model: it has no format_version")
    fields = cast("dict[str, Any]", fields)
    found = fields["format_version"]
    if found != FORMAT_VERSION:
        newer = "a newer version wrote it; update this one, or convert the model again"
        older = "convert the model again"
        raise ModelFolderError(
            f"{where} has format {found}, and this version reads {FORMAT_VERSION}: "
            f"{newer if found > FORMAT_VERSION else older}"
        )
    try:
        fields["config"] = _config(fields["config"])
        fields["files"] = {name: FileEntry(**entry) for name, entry in fields["files"].items()}
        manifest = Manifest(**fields)
        fault = _fault(manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(f"{where} is damaged: {error}") from error
    if fault:
        raise ModelFolderError(f"{where} is damaged: {fault}")
    return manifest


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def created_by() -> str:
    """Return the name and version of this program."""
    try:
        return f"emotivoice-fleet {version('emotivoice-fleet')}"
    except PackageNotFoundError:  # the code lies in an image without having been installed
        return "emotivoice-fleet"


def _config(fields: Mapping[str, Any]) -> ModelConfig:
    acoustic, vocoder, style = fields["acoustic"], fields["vocoder"], fields["style"]
    return ModelConfig(
        acoustic=AcousticConfig(**acoustic),
        vocoder=VocoderConfig(**{name: _frozen(value) for name, value in vocoder.items()}),
        style=StyleConfig(**style),
    )


def _frozen(value: Any) -> Any:
    return tuple(cast("list[int]", value)) if isinstance(value, list) else value  # JSON has no tuples


def _fault(manifest: Manifest) -> str:
    names = set(manifest.files)
    if manifest.dtype not in DTYPES:
        return f"dtype is {manifest.dtype!r}, not one of {', '.join(DTYPES)}"
    if not REQUIRED <= names <= {*REQUIRED, VOICES}:  # a name from elsewhere might lead out of the folder
        return f"its files are {', '.join(sorted(map(repr, names)))}"
    for name, entry in manifest.files.items():
        if not isinstance(cast(object, entry.bytes), int) or entry.bytes < 0:
            return f"{name} has no size"
        if not SHA256.fullmatch(str(entry.sha256)):
            return f"{name} has no SHA-256"
    if manifest.revision != converted_revision(manifest.source_revision, manifest.dtype):
        return "its revision does not follow from its source revision"
    return ""

"""The manifest of a converted folder: what it holds, and the SHA-256 of every file. Needs no torch."""

import hashlib
import json
import math
import os
import re
import reprlib
from dataclasses import asdict, dataclass, is_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from worker.engine.emotivoice.config import AUDIO, ModelConfig
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import ADAPTER, MANIFEST, SPEAKERS, TOKENLIST, VOCABULARY, VOICES, WEIGHTS

FORMAT_VERSION = 1
DTYPES = ("fp32", "fp16", "bf16")
REQUIRED = frozenset({WEIGHTS, VOCABULARY, TOKENLIST, SPEAKERS})
OPTIONAL = frozenset({VOICES, ADAPTER})
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
    except (ValueError, RecursionError) as error:
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
        manifest = cast(Manifest, _read(Manifest, fields, ""))
    except ValueError as error:
        raise ModelFolderError(f"{where} is damaged: {error}") from error
    if fault := _fault(manifest) or _config_fault(manifest.config):
        raise ModelFolderError(f"{where} is damaged: {fault}")
    return manifest


def set_entry(folder: Path, name: str, entry: FileEntry | None) -> None:
    """Write into the manifest of a converted folder that it has the file, or no longer has it."""
    manifest = read_manifest(folder)
    files = {each: known for each, known in manifest.files.items() if each != name} | ({name: entry} if entry else {})
    made = folder / f".{MANIFEST}.new"
    made.write_text(replace(manifest, files=files).to_json(), encoding="utf-8")
    os.replace(made, folder / MANIFEST)


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


def _read(kind: Any, value: Any, name: str) -> Any:
    """Return what JSON has as a value of that type; raise ValueError that names the field where it is none."""
    inside = f"{name}." if name else ""
    if is_dataclass(kind):
        types = get_type_hints(kind)
        entries = _entries(value, name)
        for field in (*types, *entries):
            if (field in types) != (field in entries):
                raise ValueError(f"{inside}{field} is {'missing' if field in types else 'unknown'}")
        return cast(Any, kind)(**{field: _read(types[field], entries[field], inside + field) for field in types})
    if get_origin(kind) is dict:
        return {key: _read(get_args(kind)[1], each, inside + key) for key, each in _entries(value, name).items()}
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} is {reprlib.repr(value)}, not a list")
        return tuple(_read(get_args(kind)[0], each, name) for each in cast("list[Any]", value))
    if type(value) is not kind:
        raise ValueError(f"{name} is {reprlib.repr(value)}, not {kind.__name__}")
    return value


def _entries(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {reprlib.repr(value)}, not an object")
    return cast("dict[str, Any]", value)


def _config_fault(config: ModelConfig) -> str:
    """Tell what the shapes of the weights can't: what would fail later, or sound wrong."""
    numbers: dict[str, dict[str, Any]] = asdict(config)
    for network, sizes in numbers.items():
        for field, value in sizes.items():
            of_field = cast("tuple[float, ...]", value if isinstance(value, tuple) else (value,))
            for number in of_field:
                if not 0 < number < math.inf:
                    return f"config.{network}.{field} is {number}"
    for network, each in (("acoustic", config.acoustic), ("style", config.style)):
        if each.width % each.heads:
            return f"config.{network}.heads is {each.heads}, which does not divide its width {each.width}"
    rates, kernels = config.vocoder.upsample_rates, config.vocoder.upsample_kernels
    if len(rates) != len(kernels):
        return f"config.vocoder.upsample_rates is {rates}, but there are {len(kernels)} upsample_kernels"
    if math.prod(rates) != AUDIO.hop:
        return f"config.vocoder.upsample_rates is {rates}; their product must be {AUDIO.hop}"
    return ""


def _fault(manifest: Manifest) -> str:
    names = set(manifest.files)
    if manifest.dtype not in DTYPES:
        return f"dtype is {manifest.dtype!r}, not one of {', '.join(DTYPES)}"
    if not REQUIRED <= names <= REQUIRED | OPTIONAL:  # a name from elsewhere might lead out of the folder
        return f"its files are {', '.join(sorted(map(repr, names)))}"
    for name, entry in manifest.files.items():
        if entry.bytes < 0:
            return f"{name} has no size"
        if not SHA256.fullmatch(entry.sha256):
            return f"{name} has no SHA-256"
    if manifest.revision != converted_revision(manifest.source_revision, manifest.dtype):
        return "its revision does not follow from its source revision"
    return ""

"""The official files to verified weights: one flat dict, named as `model.state_dict()` names them, in fp32.

What the files of one model may differ in: weight norm stored as `weight_g`/`weight_v`, as torch >= 2.1 stores it, or
folded; a `module.` in front of names; weights that only training needs; more things beside the state dict.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from worker.engine.emotivoice.config import OFFICIAL, ModelConfig
from worker.engine.emotivoice.errors import CheckpointError
from worker.engine.emotivoice.folder import is_lfs_pointer
from worker.engine.emotivoice.shapes import Shapes, expected_shapes

SHOWN = 5  # names of each kind of fault in one sentence

# torch.nn.utils.parametrizations.weight_norm: g is original0, v is original1.
NEW_NORM = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}


@dataclass(frozen=True)
class Layout:
    """How one of the two files is laid out."""

    key: str  # of the state dict
    networks: dict[str, str]  # prefix in the file -> ours
    training_only: re.Pattern[str]


GENERATOR = Layout(
    key="generator",
    networks={"am.": "acoustic.", "generator.": "vocoder."},
    training_only=re.compile(r"am\.alignment_module\."),
)
STYLE = Layout(
    key="model",
    networks={"bert.": "style."},
    training_only=re.compile(
        r"(pitch|speed|energy|emotion)_clf\.|style_embed_proj\.|bert\.embeddings\.(position|token_type)_ids$"
    ),
)


@dataclass(frozen=True)
class Checkpoint:
    """Verified weights, and what was in the files beside them."""

    weights: dict[str, torch.Tensor]  # fp32, on the CPU
    config: ModelConfig
    digest: str  # SHA-256 over the weights as they are stored, whatever way their names are written
    stored: tuple[str, ...]  # the types they are stored as
    training_only: tuple[str, ...]  # names of tensors that were left out
    strays: tuple[str, ...]  # names beside the state dicts


def load_checkpoint(generator: Path, style: Path, *, sizes: ModelConfig = OFFICIAL) -> Checkpoint:
    """Read both files; the three tables may have any number of rows, all else is of the given sizes.

    Raises:
        CheckpointError: a file is damaged, holds code, or tensors are missing, unexpected, misshapen or not finite.
    """
    files = [_File.read(generator, GENERATOR), _File.read(style, STYLE)]
    config = _with_rows_of(files, sizes)
    expected = expected_shapes(config)
    faults = [fault for file in files if (fault := file.fault(expected))]
    if faults:
        raise CheckpointError("; ".join(faults))
    tensors = {name: tensor for file in files for name, tensor in file.tensors.items()}
    weights = {name: _weight(name, tensors) for name in expected}
    _require_finite(weights, generator, style)
    return Checkpoint(
        weights=weights,
        config=config,
        digest=_digest(tensors),
        stored=tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})),
        training_only=tuple(name for file in files for name in file.training_only),
        strays=tuple(f"{file.path.name}: {name}" for file in files for name in file.strays),
    )


@dataclass
class _File:
    path: Path
    layout: Layout
    strays: list[str]
    tensors: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])  # by our names
    training_only: list[str] = field(default_factory=list[str])
    no_tensors: list[str] = field(default_factory=list[str])
    unexpected: list[str] = field(default_factory=list[str])
    repeated: list[str] = field(default_factory=list[str])

    @classmethod
    def read(cls, path: Path, layout: Layout) -> "_File":
        content = _load(path)
        state = content.get(layout.key)
        if not isinstance(state, Mapping):
            found = ", ".join(sorted(map(str, content))[:SHOWN]) or "nothing"
            raise CheckpointError(f"{path} has no weights under the name {layout.key!r}; it holds {found}")
        file = cls(path, layout, strays=[str(name) for name in content if name != layout.key])
        for name, value in cast("Mapping[object, object]", state).items():
            file._take(str(name), value)
        return file

    def _take(self, name: str, value: object) -> None:
        bare = re.sub(r"^(module\.)+", "", name)
        if self.layout.training_only.match(bare):
            self.training_only.append(name)
            return
        ours = self._ours(bare)
        if ours is None:
            self.unexpected.append(name)
        elif not isinstance(value, torch.Tensor):
            self.no_tensors.append(f"{name} is {type(value).__name__}")
        elif ours in self.tensors:
            self.repeated.append(name)
        else:
            self.tensors[ours] = value.detach()

    def _ours(self, name: str) -> str | None:
        for theirs, ours in self.layout.networks.items():
            if name.startswith(theirs):
                bare = ours + name.removeprefix(theirs)
                return _old_norm(bare) if ours == "vocoder." else bare
        return None

    def _theirs(self, name: str) -> str:
        """Our name as the official file writes it."""
        network = next(ours for ours in self.layout.networks.values() if name.startswith(ours))
        theirs = next(theirs for theirs, ours in self.layout.networks.items() if ours == network)
        return theirs + name.removeprefix(network)

    def fault(self, expected: Shapes) -> str:
        """Say everything that is wrong with this file's tensors, in one sentence; nothing where all is right."""
        mine = {
            name: shape for name, shape in expected.items() if name.startswith(tuple(self.layout.networks.values()))
        }
        wanted = dict(_stored_shapes(mine, self.tensors))
        known = self.tensors.keys() & wanted.keys()
        untold = {line.partition(" ")[0] for line in self.no_tensors}
        faults = {
            "missing": [
                self._theirs(name) for name in wanted if name not in known and self._theirs(name) not in untold
            ],
            "unexpected": [*self.unexpected, *(self._theirs(name) for name in self.tensors if name not in wanted)],
            "there twice": self.repeated,
            "of another shape": [
                f"{self._theirs(name)} is {_size(self.tensors[name].shape)} instead of {_size(wanted[name])}"
                for name in wanted
                if name in known and tuple(self.tensors[name].shape) != wanted[name]
            ],
            "not a tensor": self.no_tensors,
            "not floating point": [
                f"{self._theirs(name)} is {str(self.tensors[name].dtype).removeprefix('torch.')}"
                for name in wanted
                if name in known and not _is_float(self.tensors[name])
            ],
        }
        told = [f"{kind}: {_listed(names)}" for kind, names in faults.items() if names]
        return f"{self.path} does not hold this model: {'; '.join(told)}" if told else ""


def _load(path: Path) -> Mapping[Any, Any]:
    if is_lfs_pointer(path):
        raise CheckpointError(f"{path} is a pointer to the weights, not the weights; run `git lfs pull` in its clone")
    try:
        # Not mapped: a file that is overwritten in place would kill the process, and every byte is read here anyway.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:  # a damaged file may raise anything at all
        raise CheckpointError(_why_unreadable(path, str(error) or type(error).__name__)) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; a file of weights is a dictionary")
    return cast("Mapping[Any, Any]", content)


def _why_unreadable(path: Path, reason: str) -> str:
    code = re.search(r"GLOBAL ([A-Za-z_][\w.]*)|[Uu]nsupported class ([A-Za-z_][\w.]*)", reason)
    if code:
        return (
            f"{path} holds more than tensors and numbers ({code[1] or code[2]}). Reading that would run code from the "
            "file, so it was not read; save the state dict alone"
        )
    first = re.split(r"\.\s|\n", reason, maxsplit=1)[0][:120]
    return f"{path} is no file of weights, or is damaged or incomplete ({path.stat().st_size:,} bytes): {first}"


def _with_rows_of(files: list[_File], sizes: ModelConfig) -> ModelConfig:
    tensors = {name: tensor for file in files for name, tensor in file.tensors.items()}

    def rows(name: str, usual: int) -> int:
        tensor = tensors.get(name)
        return tensor.shape[0] if tensor is not None and tensor.dim() == 2 else usual

    return sizes.with_rows(
        tokens=rows("acoustic.src_word_emb.weight", sizes.acoustic.tokens),
        speakers=rows("acoustic.spk_tokenizer.weight", sizes.acoustic.speakers),
        vocabulary=rows("style.embeddings.word_embeddings.weight", sizes.style.vocabulary),
    )


def _stored_shapes(shapes: Shapes, found: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What a file has to hold: a convolution's weight in two parts where it has one of them, else in one."""
    for name, shape in shapes.items():
        if f"{name}_g" in found or f"{name}_v" in found:
            yield f"{name}_g", (shape[0], *(1 for _ in shape[1:]))
            yield f"{name}_v", shape
        else:
            yield name, shape


def _weight(name: str, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    if name in tensors:
        return tensors[name].float()
    return fold(tensors[f"{name}_g"], tensors[f"{name}_v"])


def fold(g: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return the weight of a weight-normed convolution: v with the length g, per row of its first dimension."""
    g, v = g.float(), v.float()
    length = v.square().sum(dim=tuple(range(1, v.dim())), keepdim=True).sqrt()
    return v * (g / length)


def _require_finite(weights: Mapping[str, torch.Tensor], generator: Path, style: Path) -> None:
    # A sum that is finite has finite terms, and is found ten times faster.
    bad = [name for name, each in weights.items() if not each.sum().isfinite() and not each.isfinite().all()]
    if bad:
        raise CheckpointError(f"weights in {generator} or {style} are not finite (NaN or infinite): {_listed(bad)}")


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash the weights as they are stored: folding may differ in the last bit between machines."""

    def line(name: str) -> str:
        tensor = tensors[name].contiguous()
        array: Any = tensor.reshape(-1).view(torch.uint8).numpy()  # numpy has no bf16
        content = hashlib.sha256(array).hexdigest()
        return f"{name} {tensor.dtype} {_size(tensor.shape)} {content}\n"

    with ThreadPoolExecutor() as pool:  # hashing frees the interpreter
        return hashlib.sha256("".join(pool.map(line, sorted(tensors))).encode()).hexdigest()


def _old_norm(name: str) -> str:
    for new, old in NEW_NORM.items():
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name


def _is_float(tensor: torch.Tensor) -> bool:
    return tensor.dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more

"""Which engine the local stack speaks with, and whether it can: known before any server starts.

Nothing here is imported for the builtin engine, and torch only for a GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cli.stack.errors import StackError

EMOTIVOICE = "emotivoice"
NEEDED = ("torch", "safetensors", "tokenizers", "jieba", "pypinyin", "pypinyin_dict")

Engine = Annotated[
    str | None,
    typer.Option(
        envvar="EMOTIVOICE_ENGINE",
        show_envvar=False,
        help="builtin needs no model and is the default; emotivoice speaks with the model in --model-dir.",
    ),
]
ModelDir = Annotated[
    Path | None,
    typer.Option(
        envvar="EMOTIVOICE_MODEL_DIR",
        show_envvar=False,
        metavar="DIR",
        help="The model's folder: official, fine-tuned or converted (see `emotivoice model --help`).",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        envvar="EMOTIVOICE_DEVICE",
        show_envvar=False,
        help="Where the model computes: cpu, cuda or cuda:1; by default on a GPU if there is one.",
    ),
]


@dataclass(frozen=True)
class EngineChoice:
    """What the user chose; what he did not is the worker's default."""

    engine: str | None = None
    model_dir: Path | None = None
    device: str | None = None

    def settings(self) -> Mapping[str, str]:
        """The settings that tell it to the workers, which run in another folder."""
        chosen = {
            "EMOTIVOICE_ENGINE": self.engine,
            "EMOTIVOICE_MODEL_DIR": self.model_dir and str(self.model_dir.expanduser().absolute()),
            "EMOTIVOICE_DEVICE": self.device,
        }
        return {name: value for name, value in chosen.items() if value}

    def check(self) -> None:
        """Raise StackError where a worker could not load the engine, as far as that can be seen in a moment."""
        if self.engine is None and self.model_dir:
            raise StackError(
                f"the builtin engine has no use for the model folder {self.model_dir}: add --engine {EMOTIVOICE} "
                f"(make up ENGINE={EMOTIVOICE} MODEL_DIR=…)"
            )
        if self.engine == EMOTIVOICE:
            _require_packages()
            _require_model(self.model_dir)
            _require_device(self.device or "auto")


def _require_packages() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise StackError(
            f"the {EMOTIVOICE} engine needs {', '.join(missing)}, which this environment has not; "
            "to install what the model needs: make setup-model"
        )


def _require_model(path: Path | None) -> None:
    if path is None:
        raise StackError(
            f"the {EMOTIVOICE} engine needs a model: name its folder with --model-dir (make up ENGINE={EMOTIVOICE} "
            "MODEL_DIR=…); docs/models.md says where the files come from"
        )
    from worker.engine.emotivoice.errors import ModelFolderError
    from worker.engine.emotivoice.folder import find_model, is_lfs_pointer
    from worker.engine.emotivoice.manifest import read_manifest

    try:
        model = find_model(path.expanduser())
        if model.kind == "converted":
            read_manifest(model.path).verify_sizes(model.path)
    except (ModelFolderError, OSError) as error:
        raise StackError(str(error)) from error
    for weights in (model.generator, model.style):
        if is_lfs_pointer(weights):
            raise StackError(f"{weights} is not the weights yet: run `git lfs pull` in its clone")


def _require_device(device: str) -> None:
    if device in ("auto", "cpu"):
        return
    from worker.engine.emotivoice.device import find_device
    from worker.engine.errors import EngineUnavailable

    try:
        find_device(device)
    except EngineUnavailable as error:
        raise StackError(str(error)) from error

"""A model of the official layout that is small enough to be written in a moment."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from worker.engine.emotivoice.config import AcousticConfig, ModelConfig, StyleConfig, VocoderConfig
from worker.engine.emotivoice.loading import ModelFiles, load_model
from worker.engine.emotivoice.shapes import expected_shapes

SIZES = ModelConfig(
    AcousticConfig(tokens=5, speakers=4, width=8, layers=1, heads=2, inner=12, style_width=6, mels=4),
    VocoderConfig(mels=4, width=8, upsample_rates=(16, 16), upsample_kernels=(32, 32), resblock_kernels=(3,)),
    StyleConfig(vocabulary=7, positions=16, width=6, layers=1, heads=2, inner=10),
)
TABLE = """# Voices

| ID | Voice Name | Gender | Description |
|----|-------|--------|-------------|
| 8051 | Maria Kasper | F | Clear, soothing |
| 985 | George Pilling | M | |
| 92 | Anna | F | |
"""
GENERATOR = "outputs/prompt_tts_open_source_joint/ckpt/g_00140000"
STYLE = "outputs/style_encoder/ckpt/checkpoint_163431"
TEXT = "data/youdao/text"

State = dict[str, Any]


def _weights() -> tuple[State, State]:
    """The state dicts of both files, with weight norm as the first release has it."""
    random = torch.Generator().manual_seed(7)
    generator: State = {}
    style: State = {}
    for name, shape in expected_shapes(SIZES).items():
        weight = torch.randn(shape, generator=random)
        if name.startswith("style."):
            style["module.bert." + name.removeprefix("style.")] = weight
        elif name.startswith("acoustic."):
            generator["am." + name.removeprefix("acoustic.")] = weight
        elif name.endswith(".weight"):
            stem = "generator." + name.removeprefix("vocoder.")
            generator[f"{stem}_v"] = weight
            generator[f"{stem}_g"] = torch.rand((shape[0], 1, 1), generator=random) + 0.5
        else:
            generator["generator." + name.removeprefix("vocoder.")] = weight
    return generator, style


def new_norm(state: State) -> State:
    """The same weights as torch >= 2.1 names them."""
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {re.sub(r"weight_[gv]$", lambda match: names[match[0]], name): value for name, value in state.items()}


@dataclass
class TinyModel:
    """A folder whose content a test may change before it is written."""

    path: Path
    generator: State = field(default_factory=lambda: _weights()[0])
    style: State = field(default_factory=lambda: _weights()[1])
    beside_generator: State = field(default_factory=dict[str, Any])
    beside_style: State = field(default_factory=dict[str, Any])
    texts: dict[str, str] = field(
        default_factory=lambda: {
            f"{TEXT}/tokenlist": "_\n<sos/eos>\na1\nb\nsp0\n",
            f"{TEXT}/speaker2": "8051\n985\n92\n11614",
            f"{TEXT}/README.md": TABLE,
            "WangZeJun/simbert-base-chinese/vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n好\n##\n\n",
        }
    )
    generator_file: str = GENERATOR
    style_file: str = STYLE

    def write(self) -> Path:
        contents = {
            self.generator_file: {"generator": self.generator, **self.beside_generator},
            self.style_file: {"model": self.style, **self.beside_style},
        }
        for name, content in contents.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            torch.save(content, self.path / name)
        for name, text in self.texts.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        return self.path

    def load(self) -> ModelFiles:
        return load_model(self.write(), sizes=SIZES)

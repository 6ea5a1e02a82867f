"""An engine whose networks are small and random, with the real token list: it hums, in milliseconds."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch

from tests.worker.engine.emotivoice.tokenlist import TOKENS
from worker.engine.emotivoice.config import AcousticConfig, ModelConfig, StyleConfig, VocoderConfig
from worker.engine.emotivoice.engine import EmotiVoiceEngine
from worker.engine.emotivoice.folder import ModelFolder
from worker.engine.emotivoice.loading import ModelFiles
from worker.engine.emotivoice.shapes import expected_shapes
from worker.engine.speech import Voice

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"普通开心悲伤生气恐惧惊讶厌恶温柔兴奋你好世界今天气真", "hello", "world"]
VOICES = (
    Voice("8051", "Maria Kasper", ("en", "zh"), "female"),
    Voice("985", "George", ("en", "zh"), "male"),
    Voice("92", "Anna", ("en", "zh"), "female"),
)
SIZES = ModelConfig(
    AcousticConfig(
        tokens=len(TOKENS), speakers=len(VOICES), width=16, layers=2, heads=2, inner=24, style_width=16, mels=80
    ),
    VocoderConfig(mels=80, width=16, resblock_kernels=(3, 7, 11)),
    StyleConfig(vocabulary=len(WORDS), positions=512, width=16, layers=2, heads=2, inner=24),
)


@cache
def small_files() -> ModelFiles:
    """Weights that speak about six frames a phoneme."""
    random = torch.Generator().manual_seed(11)
    weights = {name: _weight(name, shape, random) for name, shape in expected_shapes(SIZES).items()}
    folder = Path(mkdtemp(prefix="small-model-"))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    nothing = folder / "vocab.txt"
    return ModelFiles(
        weights=weights,
        dtype=torch.float32,
        tokens=tuple(TOKENS),
        vocabulary=folder / "vocab.txt",
        speakers=tuple(voice.id for voice in VOICES),
        voices=VOICES,
        revision="small",
        config=SIZES,
        folder=ModelFolder(folder, "official", nothing, nothing, nothing, nothing, nothing, None),
        source_revision="small",
    )


def _weight(name: str, shape: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    if name == "acoustic.duration_predictor.linear.bias":
        return torch.tensor([2.0])
    if "norm" in name.lower() and name.endswith("weight"):
        return torch.ones(shape)
    fan_in = max(1, int(torch.tensor(shape[1:]).prod())) if len(shape) > 1 else 100
    return torch.randn(shape, generator=random) * fan_in**-0.5


@cache
def small_engine(*, tone_sandhi: bool = False) -> EmotiVoiceEngine:
    return EmotiVoiceEngine(small_files(), tone_sandhi=tone_sandhi)

"""What an engine is told when it is loaded."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EngineOptions:
    """Settings of the machine, not of an utterance. An engine without a model ignores them."""

    model_dir: Path | None = None
    device: str = "auto"  # "cpu", "cuda", "cuda:1"; auto is CUDA where there is one
    precision: str = "auto"  # "fp32", "fp16", "bf16"; auto is fp16 on CUDA and what the weights are on a CPU
    tone_sandhi: bool = False  # Mandarin tone changes (ni3 hao3 -> ni2 hao3); the official model was trained without

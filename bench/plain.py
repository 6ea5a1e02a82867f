"""The EmotiVoice model as the original computes it: the baseline of bench/engine.py.

The same weights and the same numbers, without what our path adds: every utterance whole through the vocoder, weight
norm computed at each call, attention written out and its map kept on the module, prompt and content embedded each time,
one by one, networks built with random weights that are then overwritten.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from worker.engine.emotivoice import layers, style
from worker.engine.emotivoice.acoustic import AcousticModel, Condition, Controls
from worker.engine.emotivoice.config import OFFICIAL
from worker.engine.emotivoice.folder import find_model
from worker.engine.emotivoice.style import StyleEncoder
from worker.engine.emotivoice.vocoder import LAST_SLOPE, SLOPE, ResBlock, Vocoder


class PlainPath:
    """Speaks one utterance at a time."""

    def __init__(self, style_encoder: StyleEncoder, acoustic: AcousticModel, vocoder: Vocoder) -> None:
        self.style, self.acoustic, self.vocoder = style_encoder.eval(), acoustic.eval(), vocoder.eval()
        for module in [*self.style.modules(), *self.acoustic.modules()]:
            if isinstance(module, layers.SelfAttention | style.Heads):
                _keep_maps(module)

    @torch.inference_mode()
    def speak(self, phonemes: list[int], speaker: int, prompt: list[int], content: list[int]) -> Tensor:
        """Return the samples, (n,)."""
        condition = Condition(
            self.acoustic.spk_tokenizer(torch.tensor([speaker])),
            self.style(torch.tensor([prompt])),
            self.style(torch.tensor([content])),
        )
        at_rest = Controls(*torch.ones(len(Controls._fields), 1))
        prosody = self.acoustic.predict(torch.tensor([phonemes]), None, condition, at_rest)
        mel = self.acoustic.frames(prosody.hidden, prosody.durations, None, int(prosody.durations.sum()))
        return self._vocode(mel.transpose(1, 2)).flatten()

    def _vocode(self, x: Tensor) -> Tensor:
        vocoder = self.vocoder
        x = vocoder.conv_pre(x)
        for stage, up in enumerate(vocoder.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            blocks = vocoder.resblocks[stage * vocoder.kernels : (stage + 1) * vocoder.kernels]
            total: Any = None
            for block in blocks:
                total = _residual(block, x) if total is None else total + _residual(block, x)
            x = total / vocoder.kernels
        return torch.tanh(vocoder.conv_post(functional.leaky_relu(x, LAST_SLOPE)))


def _residual(block: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(block, ResBlock)
    for first, second in zip(block.convs1, block.convs2, strict=True):
        x = x + second(functional.leaky_relu(first(functional.leaky_relu(x, SLOPE)), SLOPE))
    return x


def _keep_maps(module: layers.SelfAttention | style.Heads) -> None:
    if isinstance(module, layers.SelfAttention):
        query, key, value, out = module.linear_q, module.linear_k, module.linear_v, module.linear_out
    else:
        query, key, value, out = module.query, module.key, module.value, nn.Identity()

    def forward(x: Tensor, mask: Tensor | None) -> Tensor:  # noqa: ARG001 - one utterance: nothing is padded
        q, k, v = (each(x).unflatten(-1, (module.heads, -1)).transpose(1, 2) for each in (query, key, value))
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        maps = torch.softmax(scores.masked_fill(torch.zeros_like(scores, dtype=torch.bool), -1e38), dim=-1)
        object.__setattr__(module, "attn", maps)
        return out((maps @ v).transpose(1, 2).flatten(2))

    module.forward = forward


def load_plain(path: Path) -> PlainPath:
    """Load official files the original way: build with random weights, torch.load, copy."""
    folder = find_model(path)
    style_encoder, acoustic, vocoder = (
        StyleEncoder(OFFICIAL.style),
        AcousticModel(OFFICIAL.acoustic),
        Vocoder(OFFICIAL.vocoder),
    )
    for module in list(vocoder.modules()):
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            weight_norm(module)
    generator: dict[str, Tensor] = torch.load(folder.generator, weights_only=True)["generator"]
    acoustic.load_state_dict(_behind("am.", generator), strict=False)
    state = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for name, tensor in _behind("generator.", generator).items()
    }
    vocoder.load_state_dict(state)
    encoder: dict[str, Tensor] = torch.load(folder.style, weights_only=True)["model"]
    style_encoder.load_state_dict(_behind("module.bert.", encoder), strict=False)
    return PlainPath(style_encoder, acoustic, vocoder)


def _behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}

"""The acoustic model: phonemes, a speaker and two style vectors to mel frames.

EmotiVoice's PromptTTS, after JETS (D. Lim, S. Jung, E. Kim, 2022) and ESPnet: a transformer over phonemes,
predictors of duration, pitch and energy, Gaussian upsampling (J. Donahue et al., "End-to-End Adversarial
Text-to-Speech", 2021), and a transformer over frames. Names of modules are those of the official checkpoint, behind
`am.`.

Shapes: B utterances, N phonemes, T mel frames, D channels. Padding is explained in layers.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.engine.emotivoice.config import AUDIO, AcousticConfig
from worker.engine.emotivoice.layers import NORM_EPS, Encoder, length_mask, masked

MOST_FRAMES = 1e6  # of one phoneme: four hours, or infinite, or not a number
SHARPNESS = 0.1  # of the Gaussians that spread a phoneme over its frames


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation that a predictor's numbers are normalised with, from the official configuration."""

    mean: float
    std: float


PITCH = Statistics(AUDIO.pitch_mean, AUDIO.pitch_std)  # Hz
ENERGY = Statistics(AUDIO.energy_mean, AUDIO.energy_std)  # norm of a magnitude spectrum's frame


class Condition(NamedTuple):
    """Who speaks, and in which style."""

    speaker: Tensor  # (B, D) rows of `spk_tokenizer`, or any vectors like them
    style: Tensor  # (B, style width) the embedding of the prompt
    content: Tensor  # (B, style width) the embedding of the text


class Controls(NamedTuple):
    """What the speaker is asked to change, each (B,) and float32. All ones and zeros change nothing, not a bit."""

    speed: Tensor  # factor: 2 halves every duration
    pitch_factor: Tensor  # on the pitch in Hz
    pitch_scale: Tensor  # on the distance from the utterance's mean
    energy_factor: Tensor  # on the amplitude
    energy_scale: Tensor


class Prosody(NamedTuple):
    """What the predictors say of each phoneme."""

    hidden: Tensor  # (B, N, D), with pitch and energy added
    durations: Tensor  # (B, N), whole mel frames, zero at padding, -1 where they are not finite
    pitch: Tensor  # (B, N), normalised, as it was after the controls
    energy: Tensor  # (B, N), likewise


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, D, N)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class Predictor(nn.Module):
    """Convolutions and norms to one number a phoneme."""

    def __init__(self, width: int, kernel: int, layers: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, kernel, padding=kernel // 2), nn.ReLU(), ChannelNorm(width, eps=NORM_EPS)
            )
            for _ in range(layers)
        )
        self.linear = nn.Linear(width, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, N, D) -> (B, N), float32."""
        for layer in self.conv:
            x = layer(masked(x, mask).transpose(1, 2)).transpose(1, 2)
        return masked(self.linear(x).float(), mask).squeeze(-1)


class AcousticModel(nn.Module):
    """`predict` tells how long, how high and how loud each phoneme is; `frames` makes the mel of it."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        width = config.width
        self.src_word_emb = nn.Embedding(config.tokens, width)
        self.spk_tokenizer = nn.Embedding(config.speakers, width)
        self.encoder = Encoder(width, config.heads, config.inner, config.kernel, config.layers)
        self.embed_projection1 = nn.Linear(2 * width + 2 * config.style_width, width)
        self.duration_predictor = Predictor(width, config.predictor_kernel, config.duration_layers)
        self.pitch_predictor = Predictor(width, config.predictor_kernel, config.pitch_layers)
        self.energy_predictor = Predictor(width, config.predictor_kernel, config.energy_layers)
        self.pitch_embed = nn.ModuleList([nn.Conv1d(1, width, config.embed_kernel, padding=config.embed_kernel // 2)])
        self.energy_embed = nn.ModuleList([nn.Conv1d(1, width, config.embed_kernel, padding=config.embed_kernel // 2)])
        self.decoder = Encoder(width, config.heads, config.inner, config.kernel, config.layers)
        self.to_mel = nn.Linear(width, config.mels)

    def predict(self, phonemes: Tensor, lengths: Tensor | None, condition: Condition, controls: Controls) -> Prosody:
        """Predict duration, pitch and energy.

        Args:
            phonemes: (B, N) token ids.
            lengths: (B,) how many of the N are real, or None when all are.
        """
        mask = None if lengths is None else length_mask(lengths, phonemes.shape[1])
        x = self.encoder(self.src_word_emb(phonemes), mask)
        x = self._conditioned(x, torch.cat(condition, dim=-1))
        durations = _durations(self.duration_predictor(x, mask), mask, controls.speed)
        pitch = _scaled(self.pitch_predictor(x, mask), mask, controls.pitch_scale, controls.pitch_factor, PITCH)
        energy = _scaled(self.energy_predictor(x, mask), mask, controls.energy_scale, controls.energy_factor, ENERGY)
        for value, convolution in ((pitch, self.pitch_embed[0]), (energy, self.energy_embed[0])):
            x = x + convolution(value.to(x.dtype).unsqueeze(1)).transpose(1, 2)
        return Prosody(x, durations, pitch, energy)

    def _conditioned(self, x: Tensor, condition: Tensor) -> Tensor:
        """Project phoneme and condition; the condition's part is the same at each phoneme and is computed once."""
        weight, bias = self.embed_projection1.weight, self.embed_projection1.bias
        width = x.shape[-1]
        constant = functional.linear(condition, weight[:, width:], bias)
        return functional.linear(x, weight[:, :width]) + constant.unsqueeze(1)

    def frames(self, hidden: Tensor, durations: Tensor, lengths: Tensor | None, longest: int) -> Tensor:
        """Make the mel.

        Args:
            hidden: (B, N, D) from `predict`.
            durations: (B, N) frames of each phoneme, zero at padding.
            lengths: (B,) how many of the N phonemes are real, or None when all are.
            longest: the frames of the longest utterance, T.
        Returns:
            (B, T, mels) log-magnitudes; what follows an utterance's own frames means nothing.
        """
        phoneme_mask = None if lengths is None else length_mask(lengths, hidden.shape[1])
        frame_mask = None if lengths is None else length_mask(durations.sum(dim=1), longest)
        x = upsample(hidden, durations, phoneme_mask, longest)
        return self.to_mel(self.decoder(x, frame_mask))


def _durations(logarithms: Tensor, mask: Tensor | None, speed: Tensor) -> Tensor:
    """Frames of each phoneme, -1 where the number is not finite.

    Those of an utterance that would have none at all become 1, as in the original.
    """
    frames = torch.clamp(torch.round((torch.exp(logarithms) - 1.0) / speed.unsqueeze(1)), min=0)
    durations = torch.where(frames < MOST_FRAMES, frames, -1.0).long()
    silent = durations.sum(dim=1, keepdim=True) == 0
    durations = torch.where(silent, 1, durations)
    return durations if mask is None else durations * mask.squeeze(-1)


def _scaled(value: Tensor, mask: Tensor | None, scale: Tensor, factor: Tensor, statistics: Statistics) -> Tensor:
    """Widen by `scale` around the utterance's mean, then multiply what the number stands for by `factor`."""
    real = torch.ones_like(value) if mask is None else mask.squeeze(-1).to(value.dtype)
    mean = (value * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
    value = value + (value - mean) * (scale - 1.0).unsqueeze(1)
    value = value + (value + statistics.mean / statistics.std) * (factor - 1.0).unsqueeze(1)
    return value * real


def upsample(hidden: Tensor, durations: Tensor, mask: Tensor | None, longest: int) -> Tensor:
    """Spread the phonemes over their frames by Gaussian weights: (B, N, D) -> (B, T, D).

    Phonemes of no frames take part, as in the original. Weights are float32: a frame's number outgrows half precision.
    """
    ends = durations.cumsum(dim=1)
    centres = ends.float() - durations.float() / 2
    frames = torch.arange(longest, device=hidden.device, dtype=torch.float32)
    energies = -SHARPNESS * (frames.view(1, -1, 1) - centres.unsqueeze(1)) ** 2  # (B, T, N)
    if mask is not None:
        energies = energies.masked_fill(~mask.transpose(1, 2), float("-inf"))
    return torch.softmax(energies, dim=-1).to(hidden.dtype) @ hidden

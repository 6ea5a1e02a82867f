"""The transformer that encoder and decoder of the acoustic model share.

From ESPnet (transformer encoder with scaled positions and convolutional feed-forward), as EmotiVoice uses it. Names of
modules are those of the official checkpoint. Shapes: B utterances, T positions, D channels. A `mask` is (B, T, 1), one
where a position is real and zero where it is padding; None when nothing is padded. Every convolution gets zeros at
padded positions, so that an utterance sounds the same alone and in a batch; the original does not do that.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 1e-12  # the official value


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q = nn.Linear(width, width)
        self.linear_k = nn.Linear(width, width)
        self.linear_v = nn.Linear(width, width)
        self.linear_out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.linear_out(attend(self.linear_q(x), self.linear_k(x), self.linear_v(x), self.heads, mask))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention over `heads` equal parts of the channels: three (B, T, D) -> (B, T, D)."""
    query, key, value = (_by_head(part, heads) for part in (query, key, value))
    keys = None if mask is None else (mask > 0).transpose(1, 2).unsqueeze(1)  # (B, 1, 1, T)
    out = functional.scaled_dot_product_attention(query, key, value, attn_mask=keys)
    return out.transpose(1, 2).flatten(2)


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) -> (B, heads, T, D / heads)."""
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


class ConvFeedForward(nn.Module):
    """Two convolutions over time with a GELU between them."""

    def __init__(self, width: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.w_1 = nn.Conv1d(width, inner, kernel, padding=kernel // 2)
        self.w_2 = nn.Conv1d(inner, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = functional.gelu(self.w_1(masked(x, mask).transpose(1, 2)))
        x = self.w_2(x if mask is None else x * mask.transpose(1, 2))
        return x.transpose(1, 2)


class EncoderLayer(nn.Module):
    """Attention, then feed-forward, each after its norm and added to its input."""

    def __init__(self, width: int, heads: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads)
        self.feed_forward = ConvFeedForward(width, inner, kernel)
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + self.self_attn(self.norm1(x), mask)
        return x + self.feed_forward(self.norm2(x), mask)


class ScaledPositions(nn.Module):
    """Adds sinusoids of the position, times a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return x + self.alpha * sinusoids(x.shape[1], x.shape[2], x.device).to(x.dtype)


def sinusoids(length: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines of the position in turn, (length, width), float32."""
    position = torch.arange(length, dtype=torch.float32, device=device).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32, device=device) * -(math.log(10_000.0) / width))
    angles = position * rate
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class Encoder(nn.Module):
    """Positions, a stack of layers, and a norm."""

    def __init__(self, width: int, heads: int, inner: int, kernel: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.ModuleList([ScaledPositions()])
        self.encoders = nn.ModuleList(EncoderLayer(width, heads, inner, kernel) for _ in range(layers))
        self.after_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D); what stands at padded positions means nothing."""
        x = self.embed[0](x)
        for layer in self.encoders:
            x = layer(x, mask)
        return self.after_norm(x)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def length_mask(lengths: Tensor, longest: int) -> Tensor:
    """(B,) lengths -> (B, longest, 1), one where a position is real."""
    positions = torch.arange(longest, device=lengths.device)
    return (positions < lengths.unsqueeze(1)).unsqueeze(-1)

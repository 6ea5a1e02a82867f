"""The style encoder: BERT, of which only the pooled output is used.

J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2018; the weights began as
SimBERT-base-chinese. Names of modules are those of the official checkpoint, behind `bert.`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.engine.emotivoice.config import StyleConfig
from worker.engine.emotivoice.layers import attend


class Embeddings(nn.Module):
    """The sum of what a token is and where it stands; every token is of the first of the two types."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width)
        self.position_embeddings = nn.Embedding(config.positions, config.width)
        self.token_type_embeddings = nn.Embedding(config.token_types, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D)."""
        positions = self.position_embeddings.weight[: tokens.shape[1]]
        return self.LayerNorm(self.word_embeddings(tokens) + positions + self.token_type_embeddings.weight[0])


class Projection(nn.Module):
    """A linear layer whose result is added to what it bypasses, then normalised."""

    def __init__(self, inner: int, config: StyleConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, x: Tensor, bypass: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + bypass)


class Heads(nn.Module):
    """Multi-head attention, without the projection of its result."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return attend(self.query(x), self.key(x), self.value(x), self.heads, mask)


class Attention(nn.Module):
    """Attention, projected, added to its input and normalised."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.self = Heads(config)
        self.output = Projection(config.width, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.output(self.self(x, mask), x)


class Dense(nn.Module):
    """A linear layer under the name that the checkpoint has for it."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x)


class Layer(nn.Module):
    """Attention, then feed-forward."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Dense(config.width, config.inner)
        self.output = Projection(config.inner, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = self.attention(x, mask)
        return self.output(functional.gelu(self.intermediate(x)), x)


class Layers(nn.Module):
    """The stack of layers."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        for layer in self.layer:
            x = layer(x, mask)
        return x


class StyleEncoder(nn.Module):
    """Text to the vector that prompts and contents are told to the acoustic model by."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)
        self.pooler = Dense(config.width, config.width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T) token ids, T at most the 512 positions -> (B, D), each number in (-1, 1).

        `mask` is (B, T, 1), zero at padding.
        """
        x = self.encoder(self.embeddings(tokens), mask)
        return torch.tanh(self.pooler(x[:, 0]))

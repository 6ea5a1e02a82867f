"""Ways from speaker embeddings (M, 256) to speaker vectors (M, D): each is fitted to voices of which both are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]

STEPS = 300  # of the MLP's training, each over all voices
LEARNING_RATE = 2e-3
SEED = 0


@dataclass(frozen=True)
class Method:
    """One way. Its settings are tried in turn, by the error on voices that it was not fitted to."""

    fit: Callable[[Floats, Floats, tuple[float, ...]], Weights]  # from embeddings, vectors, a setting
    predict: Callable[[Weights, Floats], Floats]
    settings: tuple[tuple[float, ...], ...]


def _fit_blend(embeddings: Floats, vectors: Floats, setting: tuple[float, ...]) -> Weights:
    return {"embeddings": embeddings, "vectors": vectors, "setting": np.array(setting, np.float32)}


def _blend(weights: Weights, embeddings: Floats) -> Floats:
    """The voices most alike, so many of them, the nearer the more."""
    count, sharpness = (float(number) for number in weights["setting"])
    similarities = embeddings @ weights["embeddings"].T
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, : int(count)]
    logits = sharpness * np.take_along_axis(similarities, nearest, axis=1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.einsum("mk,mkd->md", shares, weights["vectors"][nearest]).astype(np.float32)


def _fit_ridge(embeddings: Floats, vectors: Floats, setting: tuple[float, ...]) -> Weights:
    """Linear regression, held back by `setting` times the mean variance of the embeddings."""
    x, y = embeddings.astype(np.float64), vectors.astype(np.float64)
    centred, middle = x - x.mean(axis=0), y.mean(axis=0)
    covariance = centred.T @ centred
    penalty = setting[0] * np.trace(covariance) / len(covariance) + 1e-9
    held_back = covariance + penalty * np.eye(len(covariance))
    matrix = cast(NDArray[np.float64], np.linalg.solve(held_back, centred.T @ (y - middle)))
    return {"matrix": matrix.astype(np.float32), "offset": (middle - x.mean(axis=0) @ matrix).astype(np.float32)}


def _linear(weights: Weights, embeddings: Floats) -> Floats:
    return embeddings @ weights["matrix"] + weights["offset"]


def _fit_mlp(embeddings: Floats, vectors: Floats, setting: tuple[float, ...]) -> Weights:
    """One hidden layer, trained on numbers of about 1; the scales are folded into the weights. Equal runs are equal."""
    width, decay = int(setting[0]), setting[1]
    x, y = (torch.from_numpy(each) for each in (embeddings, vectors))  # pyright: ignore[reportUnknownMemberType]
    x_middle, y_middle = x.mean(dim=0), y.mean(dim=0)
    x_scale, y_scale = (x - x_middle).std() + 1e-6, (y - y_middle).std() + 1e-6
    x, y = (x - x_middle) / x_scale, (y - y_middle) / y_scale
    random = torch.Generator().manual_seed(SEED)
    first = (torch.randn(x.shape[1], width, generator=random) * (2 / x.shape[1]) ** 0.5).requires_grad_()
    second = (torch.randn(width, y.shape[1], generator=random) * (1 / width) ** 0.5).requires_grad_()
    offset1, offset2 = torch.zeros(width, requires_grad=True), torch.zeros(y.shape[1], requires_grad=True)
    weights = [first, offset1, second, offset2]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=decay)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (torch.relu(x @ first + offset1) @ second + offset2 - y).square().mean()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
    first, offset1, second, offset2 = (each.detach() for each in weights)
    folded = {
        "matrix1": first / x_scale,
        "offset1": offset1 - (x_middle / x_scale) @ first,
        "matrix2": second * y_scale,
        "offset2": offset2 * y_scale + y_middle,
    }
    return {name: tensor.numpy() for name, tensor in folded.items()}


def _mlp(weights: Weights, embeddings: Floats) -> Floats:
    hidden = np.maximum(embeddings @ weights["matrix1"] + weights["offset1"], 0)
    return hidden @ weights["matrix2"] + weights["offset2"]


METHODS = {
    "nearest": Method(_fit_blend, _blend, ((1, 0),)),  # the baseline: no better one, and it is kept
    "blend": Method(_fit_blend, _blend, tuple(product((3, 6, 12, 24), (0, 10, 30, 100)))),
    "ridge": Method(_fit_ridge, _linear, ((0.01,), (0.1,), (1.0,), (10.0,), (100.0,))),
    "mlp": Method(_fit_mlp, _mlp, ((256, 0.1), (256, 1.0))),
}

"""Modules without weights."""

import subprocess
import sys

import torch
from torch import nn

from worker.engine.emotivoice.building import without_weights

BUILD = """
import sys, torch
from torch import nn
from worker.engine.emotivoice.building import without_weights
with without_weights():
    nn.Linear(2, 3), nn.Conv1d(2, 3, 1), nn.ConvTranspose1d(2, 3, 1), nn.Embedding(2, 3), nn.LayerNorm(2)
print("sympy" in sys.modules)
"""


def test_a_module_has_shapes_and_takes_its_weights_later() -> None:
    with without_weights():
        layer = nn.Linear(2, 3)
    assert layer.weight.is_meta
    weights = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}

    layer.load_state_dict(weights, assign=True)

    assert torch.equal(layer(torch.ones(2)), torch.full((3,), 2.0))
    assert nn.Linear(2, 3).weight.abs().max() > 0  # outside of the block all is as ever


def test_nothing_heavy_is_imported_for_it() -> None:
    shown = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=True)

    assert shown.stdout == "False\n"

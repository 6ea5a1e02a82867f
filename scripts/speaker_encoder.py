"""Write voices/data/speaker_encoder.npz from Resemblyzer's wheel, for those who want to see where it is from.

    pip download resemblyzer==0.1.4 --no-deps && python scripts/speaker_encoder.py Resemblyzer-0.1.4-py3-none-any.whl

Needs torch, which reads the checkpoint. The optimizer's state, two thirds of the file, stays behind; half precision
moves an embedding by less than 1e-3 of its length (tests/voices/test_encoder.py).
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch

TARGET = Path(__file__).resolve().parent.parent / "voices" / "data" / "speaker_encoder.npz"


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        checkpoint = torch.load(io.BytesIO(archive.read("resemblyzer/pretrained.pt")), map_location="cpu")
    state = {name: tensor.numpy() for name, tensor in checkpoint["model_state"].items()}
    weights = {"projection": state["linear.weight"], "projection_bias": state["linear.bias"]}
    for n in range(3):
        weights[f"inputs{n}"] = state[f"lstm.weight_ih_l{n}"]
        weights[f"hidden{n}"] = state[f"lstm.weight_hh_l{n}"]
        weights[f"bias{n}"] = state[f"lstm.bias_ih_l{n}"] + state[f"lstm.bias_hh_l{n}"]
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, **{name: array.astype(np.float16) for name, array in weights.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
